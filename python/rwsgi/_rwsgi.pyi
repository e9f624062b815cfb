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

class Engine:
    """The clients of a worker, for a driver that runs its loop (rwsgi.workers.base)."""

    def fileno(self) -> int:
        """Readable when a turn is due."""
    def limit(self) -> float | None:
        """Seconds after which a turn is due in any case; None when it is time to leave."""
    def turn(self) -> list[Callable[[], None]]:
        """Do what is due, and return the requests that have come, as calls that serve one each."""
    def wait_by(self, wait: Callable[[int, bool, float | None], bool]) -> None:
        """How the application's calls wait for their client.

        `wait(fd, for_writing, seconds)` lets others run until the descriptor is ready, and returns False if
        the time passed first. Without it they block the thread.
        """

class Process:
    """The life of a worker whose driver speaks to its clients itself."""

    def fileno(self) -> int:
        """Readable when `look` is due."""
    def look(self) -> int:
        """Prove that the loop runs, and heed signals and the like.

        0 to go on, 1 to finish what has begun, 2 to leave at once.
        """
    @property
    def turn(self) -> float:
        """Seconds after which `look` is due in any case."""
    @property
    def listeners(self) -> list[tuple[int, str]]:
        """The descriptor and the URL of each listening socket; they do not block."""
    def accept(self, number: int) -> tuple[Any, tuple[str, int] | None] | None:
        """Take a connection: its socket and its client's address; None if none waits after all."""
    @property
    def cfg(self) -> Any:
        """The settings, as hooks see them."""
    def tell(self, level: str, message: str, error: BaseException | None) -> None:
        """Write to the error log."""
    @property
    def application(self) -> Any: ...
    def ready(self) -> None:
        """The worker accepts connections."""
    def stopping(self) -> None:
        """The worker finishes what it has."""
    def count(self) -> None:
        """A request is about to be served (max_requests)."""
    def serve(self, lane: int, method: str, target: bytes) -> None:
        """The request is in the application: what the master tells of it if the worker dies."""
    def idle(self, lane: int) -> None:
        """It no longer is."""
    @property
    def draining(self) -> bool:
        """Whether nobody else will take what waits in the queues of the sockets."""
    def leave(self) -> bool:
        """This worker accepts nothing more. True if no other does."""
    def refuse_connections(self) -> None:
        """Keep new connections off the sockets, for the last worker of all."""

class NativeProcess:
    """What a driver runs with that reads and answers HTTP itself (rwsgi.workers.tornado)."""

    @property
    def process(self) -> Process: ...
    @property
    def longest_head(self) -> int:
        """Bytes."""
    @property
    def is_observed(self) -> bool:
        """Whether anybody wants to know the fields of responses."""
    def begin(self, head: bytes, peer: tuple[str, int] | None) -> NativeRequest:
        """A request with this head has come."""
    @staticmethod
    def slow_head(peer: tuple[str, int] | None) -> bytes:
        """A head did not come in time: log that, and return the answer."""

class NativeRequest:
    """A request, from its head to its end."""

    @property
    def refusal(self) -> bytes | None:
        """What to answer in the place of the application, before the connection is closed."""
    @property
    def scheme(self) -> str: ...
    @property
    def address(self) -> str:
        """The client's, as far as trusted proxies tell it; empty on a unix socket."""
    @property
    def age(self) -> float:
        """Seconds since it began."""
    def overdue(self) -> bytes:
        """It has taken too long: log that, and return the answer."""
    def end(self, status: int, fields: list[tuple[bytes, bytes]], sent: int) -> None:
        """It was answered so, with a body of `sent` bytes; or it will not be answered."""

class AsgiProcess:
    """What the asgi worker class runs with (rwsgi.workers.asgi)."""

    @property
    def process(self) -> Process: ...
    def server(self, event_loop: Any, start_task: Callable[[Any], Any], state: dict[str, Any]) -> AsgiServer:
        """The server of this process, once. `state` is the lifespan's."""
    def accept(self, server: AsgiServer, listener: int) -> tuple[Any, Any] | None:
        """Take a connection: its socket and its protocol; None if none waits after all."""

class AsgiServer:
    """The connections of an asgi worker."""

    @property
    def has_room(self) -> bool:
        """Whether another connection may be taken."""
    def sweep(self, stopping_since: float | None) -> None:
        """Look at the clock for every connection."""
    def stop(self) -> None:
        """No client may keep its connection any more."""
    @property
    def is_idle(self) -> bool:
        """Nothing is left to do."""
    @property
    def tasks(self) -> list[Any]:
        """The tasks that run the application."""
    def abort(self) -> int:
        """Cut every connection and cancel every task; how many connections that were."""

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
