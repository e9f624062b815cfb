"""Kept connections are shared evenly by workers, however they came, and none waits for a stopped worker."""

import json
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from client import Connection, fetch
from server import Running, eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CONNECTIONS = 100
# The busiest worker serves at most so many times the requests of the idlest.
EVEN = 1.5
# What a person notices.
PROMPT = 1


@pytest.fixture
def connect() -> Iterator[Callable[[Running], Connection]]:
    """Connects; what is still open at the end of the test is closed then."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(Connection(server.address))


def ask(connections: Iterable[Connection]) -> list[int]:
    """The worker of each, all of which have a request under way at the same time."""
    for connection in connections:
        connection.send(REQUEST)
    return [json.loads(connection.response().body)["pid"] for connection in connections]


def start(serve, workers: int, *arguments: str) -> Running:
    keeping = ["--keep-alive", "30", "-k", "gthread", "--worker-connections", "1000"]
    server = serve("-w", str(workers), *keeping, *arguments, app="process:app")
    seen = set()

    def all_serve() -> bool:
        seen.add(json.loads(fetch(server.address).body)["pid"])
        return len(seen) == workers

    eventually(all_serve, "every worker has served")
    return server


def ratio(connections: list[Connection], workers: int) -> float:
    counts = Counter(worker for _ in range(3) for worker in ask(connections))
    return max(counts.values()) / min(counts.values()) if len(counts) == workers else float("inf")


@pytest.mark.parametrize("threads", ["1", "4"])
def test_connections_that_come_at_once_are_shared_evenly(serve, threads: str) -> None:
    server = start(serve, 4, "--threads", threads)

    def burst() -> float:
        with ExitStack() as stack:
            connections = []
            for _ in range(CONNECTIONS):
                connections.append(stack.enter_context(Connection(server.address)))
                connections[-1].send(REQUEST)
            for connection in connections:
                connection.response()
            return ratio(connections, 4)

    # A worker that gets no CPU for longer than others wait for it costs one of them its evenness.
    assert statistics.median(burst() for _ in range(3)) <= EVEN


def test_a_worker_that_has_lost_its_connections_gets_the_next_ones(serve, connect) -> None:
    server = start(serve, 4)
    connections = [connect(server) for _ in range(CONNECTIONS)]
    owners = ask(connections)
    loser = owners[0]
    for one, owner in zip(connections, owners, strict=True):
        if owner == loser:
            one.socket.close()
    lost = owners.count(loser)
    next_ones = [ask([connect(server)]) for _ in range(lost)]
    # In turns it were a quarter. The others get one each before it is first, and those that find it awake.
    assert next_ones.count([loser]) > lost / 2


def test_nobody_waits_for_a_worker_that_does_not_run(serve, connect) -> None:
    server = start(serve, 2)
    stopped, running = server.workers()
    os.kill(stopped, signal.SIGSTOP)
    # Before that it can still be woken for a connection.
    status = Path(f"/proc/{stopped}/status")
    eventually(lambda: "\nState:\tT" in status.read_text(), "the worker has stopped")
    try:
        began = time.monotonic()
        for _ in range(CONNECTIONS):
            # One after the other, and kept: the worker that runs has more and more, the other has none.
            assert ask([connect(server)]) == [running]
        together = [connect(server) for _ in range(CONNECTIONS)]
        assert ask(together) == [running] * CONNECTIONS
        assert time.monotonic() - began < PROMPT
    finally:
        os.kill(stopped, signal.SIGCONT)
