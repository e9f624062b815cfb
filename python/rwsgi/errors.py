"""What the server raises to a program that embeds it.

Owns the names, which are gunicorn's, and what each means for the exit status.
Must never be raised for what an application does in a request.
Read next: app/base.py.
"""


class ConfigError(ValueError):
    """A setting that cannot be used. The message is complete: it says where the value came from."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class AppImportError(Exception):
    """There is no such application."""


class BootError(Exception):
    """A worker cannot begin to serve. The message is complete, and the server stops."""
