"""What a stop does with clients that have come, and when it does not wait for them any more."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from client import Response, fetch
from server import Running


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(10) as pool:
        yield pool


def in_hand(server: Running, pool: ThreadPoolExecutor, seconds: float) -> "Future[Response]":
    """A request that occupies the only worker."""
    future = pool.submit(fetch, server.address, f"/first?{seconds}", timeout=20)
    server.wait_log("started /first")
    return future


def is_closed(server: Running) -> bool:
    """The kernel takes no connection: it refuses, or ignores who knocks while a worker has the socket."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(server.address) != 0


@pytest.mark.better("What waits in the listen queue at TERM is answered; gunicorn's `sync` workers reset it.")
@pytest.mark.parametrize("workers", [1, 2])
def test_term_answers_the_listen_queue(serve, pool, queued, workers: int) -> None:
    server = serve("-w", str(workers), app="slow:app")
    server.wait_log("Booting worker with pid", workers)
    first = [in_hand(server, pool, 0.6) for _ in range(workers)]
    connections = queued(server, 8)
    assert server.stop() == 0
    assert all(response.result().body == b"hello\n" for response in first)
    assert all(connection.response().body == b"hello\n" for connection in connections)
    assert is_closed(server)


def test_the_graceful_timeout_holds_for_the_queue_too(serve, pool, queued) -> None:
    server = serve("--graceful-timeout", "1", app="slow:app")
    first = in_hand(server, pool, 20)
    connections = queued(server, 3)
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 4
    assert first.exception() is not None
    for connection in connections:
        with pytest.raises((AssertionError, OSError)):
            connection.response()


@pytest.mark.better(
    "Who connects while the last requests are finished is answered or refused; gunicorn resets them."
)
def test_who_comes_after_term_is_answered_or_not_taken(serve, pool, queued) -> None:
    server = serve(app="slow:app")
    first = in_hand(server, pool, 0.8)
    server.send(signal.SIGTERM)
    server.wait_log("Handling signal: term")
    late = []
    while server.process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            late += queued(server, 1)
        time.sleep(0.1)  # one at a time, over the whole of the stop
    assert first.result().body == b"hello\n"
    assert all(connection.response().body == b"hello\n" for connection in late)
    assert server.wait_exit() == 0


def test_winch_means_nothing_to_a_server_in_the_foreground(serve) -> None:
    server = serve("-w", "2", "--log-level", "debug")
    before = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    server.send(signal.SIGWINCH)
    server.wait_log("[DEBUG] SIGWINCH ignored. Not daemonized")
    assert fetch(server.address).status == 200
    assert server.workers() == before
