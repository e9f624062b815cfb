"""A thousand signals in a second: the right end state, nothing left behind, and no client that notices."""

import os
import signal
import time
from pathlib import Path

import pytest
from client import fetch
from server import Running, eventually, process_table

COUNT, SECONDS = 1000, 1.0
WORKERS = 2
RESIZES = (signal.SIGTTIN, signal.SIGTTOU)
HARMLESS = (signal.SIGUSR1, signal.SIGWINCH, signal.SIGCHLD)
# Those that replace workers.
STORMS = {
    "HUP": (signal.SIGHUP,),
    # Equal signals merge while one is pending, so the sum of a storm of both is known only within limits.
    "TTIN and TTOU": RESIZES,
    "all": (signal.SIGHUP, *RESIZES, *HARMLESS),
}


def storm(pid: int, numbers: tuple[signal.Signals, ...]) -> None:
    for number in range(COUNT):
        os.kill(pid, numbers[number % len(numbers)])
        time.sleep(SECONDS / COUNT)  # the pace: equal signals that wait become one


def descriptors(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return sorted(found)


def calm(server: Running, count: int) -> list[int]:
    """The workers, once they have been the same `count` ones for longer than a reload may be put off."""
    since, seen = time.monotonic(), server.workers()

    def unchanged() -> list[int] | bool:
        nonlocal since, seen
        workers = server.workers()
        if workers != seen or len(workers) != count:
            since, seen = time.monotonic(), workers
        return time.monotonic() - since > 1.2 and workers

    return eventually(
        unchanged, f"{count} workers that stay: {server.workers()}\n{server.stderr[-2000:]}", 20
    )


def zombies(server: Running) -> list[int]:
    return [
        pid for pid, (parent, _, state) in process_table().items() if parent == server.pid and state == "Z"
    ]


@pytest.mark.parametrize("numbers", STORMS.values(), ids=STORMS)
def test_a_storm(serve, unfailing, numbers: tuple[signal.Signals, ...]) -> None:
    server = serve("-w", str(WORKERS), "--error-logfile", "{home}/error", "--access-logfile", "{home}/access")
    first = server.wait_workers(WORKERS)
    assert fetch(server.address).status == 200
    before = descriptors(server.pid)
    with unfailing(server):
        storm(server.pid, numbers)
        if set(RESIZES) & set(numbers):
            server.send(signal.SIGHUP)
        workers = calm(server, WORKERS)
    assert not set(workers) & set(first)
    assert zombies(server) == []
    assert descriptors(server.pid) == before
    assert fetch(server.address).status == 200
    assert server.workers() == workers
    assert server.stop() == 0


def test_a_storm_that_replaces_nobody(serve, unfailing) -> None:
    server = serve("-w", str(WORKERS), "--error-logfile", "{home}/error", "--access-logfile", "{home}/access")
    workers = server.wait_workers(WORKERS)
    assert fetch(server.address).status == 200
    before = descriptors(server.pid)
    with unfailing(server):
        storm(server.pid, HARMLESS)
    assert server.workers() == workers
    assert zombies(server) == []
    assert descriptors(server.pid) == before


def test_ttou_stops_at_one(serve, unfailing) -> None:
    server = serve("-w", "4")
    server.wait_workers(4)
    assert fetch(server.address).status == 200
    with unfailing(server):
        storm(server.pid, (signal.SIGTTOU,))
        server.wait_workers(1)
    assert zombies(server) == []


def test_a_storm_of_stops_is_one_stop(serve) -> None:
    server = serve("-w", "2")
    server.wait_workers(2)
    assert fetch(server.address).status == 200
    start = time.monotonic()
    while server.process.poll() is None and time.monotonic() - start < 5:
        server.send(signal.SIGTERM)
        time.sleep(0.001)  # the pace: equal signals that wait become one
    assert server.wait_exit() == 0
    assert server.descendants() == []


def test_workers_shrug_off_a_storm(serve, unfailing) -> None:
    """`pkill -HUP rwsgi` reaches them too."""
    server = serve("-w", "1")
    (worker,) = server.wait_workers(1)
    assert fetch(server.address).status == 200
    with unfailing(server):
        storm(worker, (signal.SIGHUP, signal.SIGUSR2, *RESIZES, signal.SIGUSR1, signal.SIGWINCH))
    assert server.workers() == [worker]


def test_every_signal_at_the_same_moment(serve) -> None:
    """The kernel makes the frames of all that wait before the first handler runs."""
    server = serve("-w", "1")
    (worker,) = server.wait_workers(1)
    assert fetch(server.address).status == 200
    os.kill(worker, signal.SIGSTOP)
    eventually(lambda: process_table()[worker][2] == "T", "it stands still")
    stops = (signal.SIGQUIT, signal.SIGINT, signal.SIGTERM)
    for number in (*HARMLESS, *RESIZES, signal.SIGHUP, signal.SIGUSR2, *stops, signal.SIGCONT):
        os.kill(worker, number)
    server.wait_log(f"Worker exiting (pid: {worker})")
    assert "SIGSEGV" not in server.stderr
