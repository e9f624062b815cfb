"""Fixtures: servers, and the bound on every test's time.

Owns `kind` (which server a test runs on; the parity suite overrides it), `serve` (start one for this test),
`run` (run the program to its end), `queued` (clients that wait), `unfailing` (clients that must not notice
anything) and `shared` (a server many tests of a module read from). Must never leave a process behind.
Read next: server.py, client.py, parity/conftest.py.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest
import server as servers
from client import Connection, encode, fetch
from embedding import embed, embed_to_the_end  # noqa: F401  # fixtures
from privileges import public  # noqa: F401  # a fixture
from server import KINDS, RWSGI, Kind, Running

TEST_SECONDS = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        action="append",
        choices=sorted(KINDS),
        help="run the tests of this server only (repeatable; default: all)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "better(reason): rwsgi does what gunicorn does not; gunicorn must fail this"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the tests of servers that were not asked for."""
    chosen = config.getoption("--server") or sorted(KINDS)
    kept, left = [], []
    for item in items:
        params = getattr(item, "callspec", None)
        name = params.params.get("kind", RWSGI.name) if params else RWSGI.name
        (kept if name in chosen else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """A test that takes longer than `TEST_SECONDS` fails where it stands."""

    def expired(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"the test took more than {TEST_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="session")
def kind() -> Kind:
    return RWSGI


def starter(kind: Kind, parent: Path, started: list[Running]) -> Callable[..., Running]:
    def serve(
        *arguments: str,
        app: str = "hello:app",
        bind: str | None = "tcp",
        cwd: Path = servers.APPS,
        env: dict[str, str] | None = None,
        under: tuple[str, ...] = (),
    ) -> Running:
        """Starts the server, waits until it listens. `bind`: tcp, unix, or None (the arguments say where).

        `under`: a program that executes the rest of its command line in its place.
        """
        home = servers.scratch(parent)
        address = str(home / "socket") if bind == "unix" else ("127.0.0.1", servers.free_port())
        where = {"tcp": f"127.0.0.1:{address[1]}", "unix": f"unix:{address}"}
        binding = ["--bind", where[bind]] if bind else []
        words = [
            *binding,
            *(word.format(home=home, port=address[1]) for word in arguments),
            *([app] if app else []),
        ]
        env = {name: value.format(home=home, port=address[1]) for name, value in (env or {}).items()}
        started_as = replace(kind, program=(*under, *kind.program))
        running = Running(kind, servers.launch(started_as, words, home, cwd, env), address, home)
        started.append(running)
        servers.eventually(running.listening, "the server listens")
        return running

    return serve


def clean_up(started: list[Running]) -> None:
    failures = []
    for running in started:
        try:
            running.clean_up()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def serve(kind: Kind, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []
    yield starter(kind, tmp_path, started)
    clean_up(started)


@pytest.fixture(scope="module")
def module_serve(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """As `serve`; the servers live until the module's tests are done."""
    started: list[Running] = []
    yield starter(kind, tmp_path_factory.mktemp("servers"), started)
    clean_up(started)


@pytest.fixture(scope="module")
def serve_as(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Callable[..., Running]]]:
    """As `module_serve`, of the kind that is asked for. What it gives may be called by a thread."""
    started: list[Running] = []
    yield lambda kind: starter(kind, tmp_path_factory.mktemp("servers"), started)
    clean_up(started)


@pytest.fixture(scope="module")
def shared(module_serve: Callable[..., Running]) -> Running:
    """One worker serving all of tests/apps by path (/module/callable), for every test of a module."""
    return module_serve(app="cases:app")


@pytest.fixture
def queued() -> Iterator[Callable[..., list[Connection]]]:
    """Connections that the kernel has taken, their requests sent, whether or not anybody accepts them."""
    opened: list[Connection] = []

    def queued(server: Running, count: int, target: str = "/queued?0.05") -> list[Connection]:
        for _ in range(count):
            opened.append(Connection(server.address))
            opened[-1].send(encode("GET", target))
        return opened[-count:]

    yield queued
    for connection in opened:
        connection.__exit__()


@contextmanager
def load(server: Running, clients: int = 2, pause: float = 0.002) -> Iterator[list[float]]:
    """Steady requests during the block: each must be answered. Gives how long each took, in seconds."""
    failures: list[str] = []
    latencies: list[float] = []
    stopped = threading.Event()

    def client() -> None:
        while not stopped.wait(pause):
            start = time.monotonic()
            try:
                assert fetch(server.address).status == 200
            except (OSError, AssertionError) as failure:
                failures.append(repr(failure))
            latencies.append(time.monotonic() - start)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        servers.eventually(lambda: latencies, "the clients have begun")
        yield latencies
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[:5]


@pytest.fixture
def unfailing() -> Callable[..., AbstractContextManager[list[float]]]:
    return load


@pytest.fixture
def run(kind: Kind, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Runs the program to its end: exit status, standard output, standard error."""

    def run(
        *arguments: str, cwd: Path = servers.APPS, env: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        return servers.run(kind, list(arguments), servers.scratch(tmp_path), cwd, env)

    return run
