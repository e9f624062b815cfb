# The extension module, written in Rust (src/lib.rs).

from typing import Any, TypedDict

__version__: str

class Setting(TypedDict):
    name: str
    section: str
    flags: list[str]
    default: Any
    short: str
    works: bool
    moot: bool
    reason: str | None

def main(argv: list[str]) -> int:
    """Run the server with these arguments (the program's name left out) and return its exit status."""

def serve(app: Any, file: str, section: list[tuple[str, str]]) -> int:
    """Serve an application that is loaded, with the settings of a server section of a PasteDeploy file."""

def settings() -> list[Setting]:
    """Every setting in documentation order.

    `works` is false if another value than the default is refused or, if `moot`, changes nothing; `reason`
    says why.
    """
