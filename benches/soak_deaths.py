"""Thousands of worker deaths in half a minute: what they leave in the master.

Owns the application whose requests end their own worker (by KILL, exit status 0 or TERM: too few by KILL for
a crash loop) and the measure of the master: resident memory, descriptors,
threads, zombies. A worker that dies while it serves was ready, so each death is one of a whole life.
Read next: soak.py, which prints this.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from client import fetch
from server import Running, eventually, process_table

WORKERS, CLIENTS = 16, 16
APP = """
import os
import signal


def die(environ, start_response):
    way = environ["QUERY_STRING"]
    if way == "exit":
        os._exit(0)
    if way:
        os.kill(os.getpid(), {"kill": signal.SIGKILL, "term": signal.SIGTERM}[way])
    start_response("200 OK", [("Content-Length", "5")])
    return [b"soak\\n"]
"""
WAYS = ("kill", "exit", "term", "exit")
# The first deaths fill caches and free lists of the allocator; the slope is that of the rest.
WARM_SHARE = 0.2


@dataclass(frozen=True)
class Deaths:
    count: int
    seconds: float
    first: int
    last: int
    # Bytes of resident memory that a death costs.
    slope: float
    new_descriptors: int
    threads: int
    zombies: int

    def describe(self) -> str:
        return (
            f"{self.count} in {self.seconds:.0f} s; master {self.first // 1024} -> {self.last // 1024} KiB, "
            f"{self.slope:+.1f} B a death; descriptors {self.new_descriptors:+d}, threads {self.threads}, "
            f"zombies {self.zombies}"
        )

    def leaks(self) -> bool:
        return self.slope > 64 or self.new_descriptors != 0 or self.threads != 1 or self.zombies != 0


def status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def resident(pid: int) -> int:
    return status(pid, "VmRSS") * 1024


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def zombies(parent: int) -> int:
    """Those that stay: one that is seen once may be about to be reaped."""
    left = [0]

    def reaped() -> bool:
        left[0] = sum(ppid == parent and state == "Z" for ppid, _, state in process_table().values())
        return not left[0]

    with contextlib.suppress(AssertionError):
        eventually(reaped, "no zombies", 2)
    return left[0]


class Reaper:
    """Clients that ask workers to die; `died` counts those that seem to have."""

    def __init__(self, server: Running):
        self.server = server
        self.died = 0
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.ways = itertools.cycle(WAYS)

    def run(self) -> None:
        while not self.stopped.is_set():
            with self.lock:
                way = next(self.ways)
            try:
                fetch(self.server.address, f"/?{way}")
                ended = way == "term"
            except (OSError, AssertionError):
                ended = True
            with self.lock:
                self.died += ended


def settled(server: Running) -> None:
    server.wait_workers(WORKERS)
    fetch(server.address)


def sample(server: Running, reaper: Reaper, count: int, seconds: float) -> list[tuple[int, int]]:
    """(deaths, resident bytes), a few times a second, until `count` deaths or `seconds` passed."""
    samples, deadline = [], time.monotonic() + seconds
    while reaper.died < count and time.monotonic() < deadline:
        samples.append((reaper.died, resident(server.pid)))
        time.sleep(0.25)
    return samples


def slope(samples: list[tuple[int, int]]) -> float:
    last = samples[-1][0]
    deaths, sizes = zip(*(pair for pair in samples if pair[0] >= last * WARM_SHARE), strict=True)
    return statistics.linear_regression(deaths, sizes).slope


def run(server: Running, count: int, seconds: float) -> Deaths:
    settled(server)
    first, fds = resident(server.pid), descriptors(server.pid)
    reaper = Reaper(server)
    clients = [threading.Thread(target=reaper.run) for _ in range(CLIENTS)]
    start = time.monotonic()
    for client in clients:
        client.start()
    try:
        samples = sample(server, reaper, count, seconds)
    finally:
        reaper.stopped.set()
        for client in clients:
            client.join()
    took = time.monotonic() - start
    settled(server)
    return Deaths(
        # A connection that a dying worker had taken besides is an answer too few, but not a death too many.
        count=server.stderr.count("Booting worker with pid") - WORKERS,
        seconds=took,
        first=first,
        last=resident(server.pid),
        slope=slope(samples),
        new_descriptors=descriptors(server.pid) - fds,
        threads=status(server.pid, "Threads"),
        zombies=zombies(server.pid),
    )
