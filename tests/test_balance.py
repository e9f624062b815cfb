"""Connections that are kept are shared evenly by the workers, however they came, and none waits for a worker in vain."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterable

import pytest
from client import Connection, fetch
from server import Running, eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CONNECTIONS = 100
# The busiest worker serves at most so many times the requests of the idlest.
EVEN = 1.5
# What a person notices.
PROMPT = 1


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
    connections = []
    for _ in range(CONNECTIONS):
        connections.append(Connection(server.address))
        connections[-1].send(REQUEST)
    for connection in connections:
        connection.response()
    assert ratio(connections, 4) <= EVEN


def test_a_worker_that_has_lost_its_connections_gets_the_next_ones(serve) -> None:
    server = start(serve, 4)
    connections = [Connection(server.address) for _ in range(CONNECTIONS)]
    owners = ask(connections)
    loser = owners[0]
    kept = [one for one, owner in zip(connections, owners, strict=True) if owner != loser]
    for one, owner in zip(connections, owners, strict=True):
        if owner == loser:
            one.socket.close()
    while len(kept) < CONNECTIONS:
        kept.append(Connection(server.address))
        ask(kept[-1:])
    assert ratio(kept, 4) <= EVEN


def test_nobody_waits_for_a_worker_that_does_not_run(serve) -> None:
    server = start(serve, 2)
    stopped, running = server.workers()
    os.kill(stopped, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(CONNECTIONS):
            # One after the other, and kept: the worker that runs has more and more, the other has none.
            connection = Connection(server.address)
            assert ask([connection]) == [running]
        together = [Connection(server.address) for _ in range(CONNECTIONS)]
        assert ask(together) == [running] * CONNECTIONS
        assert time.monotonic() - began < PROMPT
    finally:
        os.kill(stopped, signal.SIGCONT)
