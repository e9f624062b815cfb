"""`max_waiting_requests`: who comes while every thread is busy and enough wait is told to come again."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from client import Connection, encode, fetch
from server import Running

TOLD = "(max_waiting_requests): answered 503 to"

# Where two requests at a time are greenlets.
GREEN = ("-k", "gevent", "--worker-connections", "2")
CLASSES = pytest.mark.parametrize(
    ("threads", "flags"), [(1, ()), (2, ()), (2, GREEN)], ids=["sync", "gthread", "gevent"]
)


@pytest.fixture
def busy(serve, tmp_path: Path):
    """A server whose threads all wait in the application for `release`."""

    @contextmanager
    def busy(threads: int, *arguments: str) -> Iterator[Running]:
        environment = {"RELEASES": str(tmp_path)}
        server = serve("--threads", str(threads), *arguments, app="stuck:app", env=environment)
        with ExitStack() as stack:
            clients = [stack.enter_context(Connection(server.address)) for _ in range(threads)]
            for number, client in enumerate(clients):
                client.send(encode("GET", f"/all{number}"))
                server.wait_log(f"started /all{number}")
            yield server
            release(tmp_path, threads)
            assert [client.response().status for client in clients] == [200] * threads

    return busy


def release(directory: Path, threads: int) -> None:
    for number in range(threads):
        (directory / f"all{number}").touch()


@CLASSES
def test_those_beyond_the_bound_are_told(busy, threads: int, flags: tuple[str, ...]) -> None:
    with busy(threads, *flags, "--max-waiting-requests", "2") as server, ExitStack() as stack:
        waiting = [stack.enter_context(Connection(server.address)) for _ in range(2)]
        for client in waiting:
            client.send(encode("GET", "/free"))
        # Those two are in the worker when the third is answered: they came before it.
        for _ in range(5):
            response = fetch(server.address, "/free")
            assert (response.status, response.value("Retry-After")) == (503, "1")
            assert response.value("Connection") == "close"
        log = server.wait_log(TOLD)
        assert log.count(TOLD) == 1 and "[WARNING] Every thread is busy and 2 requests wait" in log
        release(server.home.parent, threads)
        assert [client.response().status for client in waiting] == [200, 200]
        assert fetch(server.address, "/free").status == 200


@CLASSES
def test_a_body_is_taken_before_its_client_is_told(busy, threads: int, flags: tuple[str, ...]) -> None:
    waits = ("--max-waiting-requests", "1")
    with busy(threads, *flags, *waits) as server, Connection(server.address) as waiting:
        waiting.send(encode("GET", "/free"))
        body = b"x" * 3_000_000
        request = encode("POST", "/free", ("Content-Length", str(len(body))), body=body)
        with Connection(server.address) as client:
            client.send(request)
            assert client.response().status == 503
        release(server.home.parent, threads)
        assert waiting.response().status == 200


def test_without_a_bound_they_wait(busy) -> None:
    with busy(2) as server, ExitStack() as stack:
        clients = [stack.enter_context(Connection(server.address)) for _ in range(10)]
        for client in clients:
            client.send(encode("GET", "/free"))
        release(server.home.parent, 2)
        assert [client.response().status for client in clients] == [200] * 10


def test_a_stop_answers_those_that_wait(busy) -> None:
    with busy(2, "--max-waiting-requests", "2") as server, ExitStack() as stack:
        clients = [stack.enter_context(Connection(server.address)) for _ in range(3)]
        for client in clients[:2]:
            client.send(encode("GET", "/free"))
        assert fetch(server.address, "/free").status == 503
        server.process.terminate()
        server.wait_log("Handling signal: term")
        release(server.home.parent, 2)
        assert [client.response().status for client in clients[:2]] == [200, 200]


@CLASSES
def test_an_idle_sibling_serves(serve, tmp_path: Path, threads: int, flags: tuple[str, ...]) -> None:
    """A busy worker leaves it the queue: what it took itself would wait for a thread that does not come."""
    arguments = ("-w", "2", "--threads", str(threads), "--max-waiting-requests", "1")
    server = serve(*arguments, *flags, app="stuck:app", env={"RELEASES": str(tmp_path)})
    server.wait_workers(2)
    with ExitStack() as stack:
        # One thread is left to spare.
        count = 2 * threads - 1
        for number in range(count):
            client = stack.enter_context(Connection(server.address))
            client.send(encode("GET", f"/all{number}"))
            server.wait_log(f"started /all{number}")
        assert {fetch(server.address, "/free").status for _ in range(50)} == {200}
        release(tmp_path, count)
