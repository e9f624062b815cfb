"""What a crowd of slow clients costs those who are not slow.

Owns the crowd, a process of its own: clients that read a response of 1 MB at 10 KB a second, and clients that
have sent half of a head and go on byte by byte. Who is through, or was sent away, comes again, so that the
crowd stays what it is. Beside it wrk sends small requests, on kept connections and on new ones, as it does
before the crowd comes. Exit status 1 when rwsgi lets others wait. Must never count a client that is not being
served. Run by `make bench-crowd`; --help tells the options. Read next: measure.py, peers.py.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from loads import CLOSE, Load
from measure import CLIENT_CPU, Failed, Server, serving, session_memory, strike
from peers import PEERS, Peer

KEPT = Load("kept", "kept connections", 13, "bench_app:crowd", connections=8, threads=4)
NEW = replace(KEPT, key="new", name="new connections", fields=CLOSE)
LARGE, SIZE = b"GET /large HTTP/1.1\r\nHost: crowd\r\n\r\n", 1 << 20
HALF = b"GET / HTTP/1.1\r\nHost: crowd\r\nX-Slow: "
# Ticks a second, and how many of them are between two turns of a client.
TICKS, TURN = 50, 10
# What a reader takes in a turn.
PIECE = 2048
# Bytes of a head that drips; less than any server refuses.
DRIPS = 4000
# ms.
BOUND = 50
context = multiprocessing.get_context("fork")


class Slow:
    """A slow client, of one of two kinds. `served`: it is as far as it is meant to be, and stays there."""

    def __init__(self, port: int, reads: bool):
        self.port, self.reads = port, reads
        self.turn = self.read if reads else self.drip
        self.begin()

    def begin(self) -> None:
        self.served, self.left = False, SIZE if self.reads else DRIPS
        self.socket = socket.socket()
        # What is not read shall not fit into the client's own buffer either.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", self.port))
        self.socket.setblocking(False)
        self.socket.send(LARGE if self.reads else HALF)

    def go_on(self) -> bool:
        """Does its turn. False if it was sent away, or is through, and has come again."""
        try:
            moved = self.turn()
        except BlockingIOError:
            return True
        except OSError:
            moved = 0
        self.served, self.left = True, self.left - moved
        if moved and self.left > 0:
            return True
        self.socket.close()
        self.begin()
        return moved > 0

    def read(self) -> int:
        return len(self.socket.recv(PIECE))

    def drip(self) -> int:
        with contextlib.suppress(BlockingIOError):
            # An answer to half a head is no good news.
            self.socket.recv(PIECE)
            return 0
        return self.socket.send(b"x")


def crowd(port: int, count: int, counts: multiprocessing.Array) -> None:
    """Two kinds, `count` of each. `counts`: readers and drips that are served, and who was sent away."""
    os.sched_setaffinity(0, {CLIENT_CPU})
    clients = [Slow(port, reads) for _ in range(count) for reads in (True, False)]
    due, tick = time.monotonic(), 0
    while True:
        some = clients[tick % TURN :: TURN]
        counts[2] += sum(not client.go_on() for client in some)
        counts[0] = sum(client.served and client.reads for client in clients)
        counts[1] = sum(client.served and not client.reads for client in clients)
        due, tick = max(due + 1 / TICKS, time.monotonic()), tick + 1
        time.sleep(max(0.0, due - time.monotonic()))  # the pace of slow clients


@contextlib.contextmanager
def crowded(server: Server, count: int) -> Iterator[multiprocessing.Array]:
    """While the crowd is there, all of it."""
    counts = context.Array("l", 3, lock=False)
    process = context.Process(target=crowd, args=(server.port, count, counts), daemon=True)
    process.start()
    try:
        deadline = time.monotonic() + 60
        while min(counts[:2]) < count * 0.98:
            if time.monotonic() > deadline or not process.is_alive():
                raise Failed(f"serves {counts[0]} readers and keeps {counts[1]} halves of {count} each")
            time.sleep(0.1)  # between two looks
        counts[2] = 0
        yield counts
    finally:
        process.kill()
        process.join()


def tell(name: str, load: Load, state: str, server: Server, seconds: int) -> float:
    """The p99, of which and of the rest a line is printed."""
    seen = strike(load, server, seconds)
    if seen.error:
        raise Failed(f"{state}, {load.name}: {seen.error}")
    memory = session_memory(server.process.pid)
    figures = f"p50 {seen.p50:6.2f} ms   p99 {seen.p99:6.2f} ms   {seen.rate:8,.0f}/s   {memory:6,.0f} MiB"
    print(f"{name:<18} {load.name:<16} {state:<10} {figures}", flush=True)
    return seen.p99


def judge(peer: Peer, options: argparse.Namespace) -> bool:
    """Prints what was found; false if rwsgi lets others wait."""
    enough = f"{peer.threaded} --worker-connections {2 * options.count + 1000} {options.flags}"
    peer = replace(peer, threaded=enough)
    slowest = 0.0
    with (
        tempfile.TemporaryDirectory(prefix="rwsgi-bench-") as name,
        serving(peer, KEPT, Path(name)) as server,
    ):
        try:
            for load in (KEPT, NEW):
                tell(peer.name, load, "alone", server, options.seconds)
            with crowded(server, options.count) as counts:
                for load in (KEPT, NEW):
                    slowest = max(slowest, tell(peer.name, load, "crowded", server, options.seconds))
                print(
                    f"{'':<18} {counts[0]} readers, {counts[1]} halves; {counts[2]} were sent away",
                    flush=True,
                )
        except Failed as failure:
            print(f"{peer.name:<18} {failure}", flush=True)
            slowest = float("inf")
    return slowest < BOUND or not peer.name.startswith("rwsgi")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="clients of each kind (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=int, default=10, help="of each of four rounds (default: %(default)s)"
    )
    parser.add_argument("--only", default="rwsgi gthread", help="servers, by the start of their names")
    parser.add_argument("--flags", default="", help="more for each server's command line")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    peers = [peer for peer in PEERS if peer.name.startswith(options.only) and not peer.absent()]
    quick = [judge(peer, options) for peer in peers]
    if not all(quick):
        print(f"rwsgi lets others wait for {BOUND} ms or more, or sends the crowd away")
    return 0 if all(quick) else 1


if __name__ == "__main__":
    sys.exit(main())
