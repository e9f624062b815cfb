# The extension module, written in Rust (src/lib.rs).

from collections.abc import Callable
from typing import Any, Literal, NoReturn, TypedDict

__version__: str

class Setting(TypedDict):
    name: str
    section: str
    flags: list[str]
    metavar: str
    takes: Literal["nothing", "value", "optional", "items"]
    missing: str | None
    default: Any
    short: str
    works: bool
    moot: bool
    reason: str | None

class Draft:
    """The settings of a program that embeds the server, while it makes them.

    Errors are rwsgi.errors.ConfigError.
    """

    def set(self, name: str, value: Any) -> None:
        """AttributeError if there is no such setting."""
    def get(self, name: str) -> Any: ...
    def read_arguments(self, argv: list[str], usage: str) -> tuple[dict[str, Any], list[str]]:
        """The settings that `argv` gives, by name, and its other words."""
    def lay_arguments(self) -> None:
        """Lay the config file over what is set, and over it the arguments that were read."""
    def lay_file(self, location: str) -> None: ...
    def load_app(self) -> Callable[..., Any]:
        """The application that the settings name."""
    def check(self) -> None:
        """Look up what the values name."""

def main(argv: list[str]) -> int:
    """Run the server with these arguments (the program's name left out) and return its exit status."""

def serve(application: Any) -> int:
    """Run the server of this `rwsgi.app.base.BaseApplication`; return its exit status, in the master only."""

def serve_section(app: Any, file: str, section: list[tuple[str, str]]) -> NoReturn:
    """Serve a loaded application with a server section of a PasteDeploy file; then end the process."""

def complain(error: BaseException) -> int:
    """Tell what kept a program from making its settings, and return the exit status."""

def import_app(spec: str) -> Callable[..., Any]:
    """The application of `module:name`. Raises what its code raises, or rwsgi.errors.AppImportError."""

def is_setting(name: str) -> bool: ...
def settings() -> list[Setting]:
    """Every setting in documentation order.

    `works` is false if another value than the default is refused or, if `moot`, changes nothing; `reason`
    says why. `missing` is what an optional value stands for when it is left out.
    """
