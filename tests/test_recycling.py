"""Worn workers: the replacement is ready before they stop, and they are not all replaced at the same time."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from client import fetch
from server import Running, eventually

APP = """
import os, time
{first}
hoard = []

def app(environ, start_response):
    hoard.append(b"x" * int(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Length", "6")])
    return [b"hello\\n"]
"""
MEGABYTE = 1_000_000
# What the limit on a replacement's effect is: an import takes longer than any request may.
IMPORT, LONGEST = 1.2, 0.8


@pytest.fixture
def worn(serve, tmp_path: Path):
    """A server of an application that runs `first` when it is imported."""

    def worn(first: str, *arguments: str) -> Running:
        (tmp_path / "worn.py").write_text(APP.format(first=first))
        server = serve(*arguments, app="worn:app", cwd=tmp_path)
        assert fetch(server.address).status == 200
        return server

    return worn


def replaced(server: Running, before: list[int]) -> None:
    eventually(lambda: not set(before) & set(server.workers()), f"{before} are replaced\n{server.stderr}", 15)


@pytest.mark.parametrize(
    "arguments",
    [("--max-requests", "60"), ("--max-worker-lifetime", "1")],
    ids=["max_requests", "max_worker_lifetime"],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_waits_for_a_replacement(worn, unfailing, workers: int, arguments: tuple[str, ...]) -> None:
    server = worn(f"time.sleep({IMPORT})", "-w", str(workers), *arguments)
    before = server.wait_workers(workers)
    with unfailing(server) as latencies:
        replaced(server, before)
    assert max(latencies) < LONGEST
    assert "[ERROR]" not in server.stderr


def test_a_socket_of_its_own_takes_nobody_before_the_worker_can_serve(worn, unfailing) -> None:
    server = worn("time.sleep(2.5)", "-w", "2", "--reuse-port")
    before = server.wait_workers(2)
    with unfailing(server) as latencies:
        server.send(signal.SIGHUP)
        replaced(server, before)
    # Who knocks at a socket that is about to close is ignored, and the kernel knocks again after a second.
    assert max(latencies) < 1.5


def test_a_quarter_of_the_workers_at_a_time(worn, unfailing) -> None:
    server = worn("time.sleep(0.2)", "-w", "4", "--max-requests", "30")
    before = server.wait_workers(4)
    counts = set()
    with unfailing(server):
        while set(before) & set(server.workers()):
            counts.add(len(server.workers()))
            time.sleep(0.005)  # between two looks
    # One successor beside the four, and one that is on its way out.
    assert 4 <= min(counts) and max(counts) <= 6, counts


def test_memory(worn, unfailing) -> None:
    server = worn("", "-w", "1", "--max-worker-memory", "150M")
    before = server.wait_workers(1)
    assert fetch(server.address, f"/?{60 * MEGABYTE}").status == 200
    time.sleep(1.2)  # the thing under test is that nothing happens at the next looks
    assert server.workers() == before
    assert fetch(server.address, f"/?{120 * MEGABYTE}").status == 200
    with unfailing(server):
        replaced(server, before)


def test_a_lifetime_without_requests(worn) -> None:
    server = worn("", "-w", "2", "--max-worker-lifetime", "1")
    before = server.wait_workers(2)
    replaced(server, before)
    server.wait_workers(2)


def test_the_request_in_hand_is_finished(serve) -> None:
    server = serve("--max-worker-lifetime", "1", app="slow:app")
    before = server.wait_workers(1)
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(fetch, server.address, "/x?1.8")
        server.wait_log("started /x")
        assert response.result().body == b"hello\n"
    replaced(server, before)


def test_a_successor_that_cannot_boot(worn, unfailing, tmp_path: Path) -> None:
    server = worn("", "-w", "1", "--max-requests", "50")
    before = server.wait_workers(1)
    (tmp_path / "worn.py").write_text(APP.format(first="raise RuntimeError('broken since')"))
    with unfailing(server):
        server.wait_log("broken since", 2)
        assert set(before) <= set(server.workers())
        (tmp_path / "worn.py").write_text(APP.format(first="# mended, and longer than before"))
        replaced(server, before)
    server.wait_workers(1)


def test_a_worn_worker_that_dies_first(worn) -> None:
    server = worn("time.sleep(0.5)", "-w", "1", "--max-requests", "1")
    (worker,) = server.wait_workers(1)
    server.wait_log("Booting worker with pid", 2)
    os.kill(worker, signal.SIGKILL)
    replaced(server, [worker])
    assert fetch(server.address).status == 200


def test_a_reload_while_workers_are_replaced(worn, unfailing) -> None:
    server = worn("time.sleep(0.3)", "-w", "2", "--max-requests", "40")
    with unfailing(server):
        before = server.workers()
        for _ in range(3):
            server.send(signal.SIGHUP)
            time.sleep(0.3)  # anywhere in the course of a replacement
        replaced(server, before)
    server.wait_workers(2)
    assert server.stop() == 0


def test_a_stop_while_workers_are_replaced(worn) -> None:
    server = worn("time.sleep(0.1)", "-w", "1", "--max-requests", "1")
    server.wait_log("Booting worker with pid", 2)
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 3
    assert server.descendants() == []
