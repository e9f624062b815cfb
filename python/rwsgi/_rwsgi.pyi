# The extension module, written in Rust (src/lib.rs).

__version__: str

def main(argv: list[str]) -> int:
    """Run the server with these arguments (the program's name left out) and return its exit status."""
