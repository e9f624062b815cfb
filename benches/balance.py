"""How evenly workers share requests, and how many of them one connection wakes.

Owns two measures. The ratio of the busiest to the idlest of four workers, by requests, while a hundred
connections that are kept alive (where the server does that) have one request each under way. And the
voluntary context switches of 32 idle workers when a single connection arrives, less those that they make by
themselves in the same time. Other servers give the scale. Must never pin anything to a CPU: the kernel's
choice of whom it wakes is part of the measure.
Run by `make bench-balance`; --help tells the options. Read next: peers.py, the command lines.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from loads import Load
from measure import Failed, end, free_port, launch, session, session_cpu, wait_listening
from peers import PEERS, Peer

WORKERS, CONNECTIONS, ROUNDS = 4, 100, 50
# A window is short, so that few have a beat of the workers in them; the median forgets those.
IDLE_WORKERS, ARRIVALS, WINDOW = 32, 31, 0.05
NAMES = ("rwsgi sync", "rwsgi gthread", "gunicorn sync", "gunicorn gthread", "granian")
LOAD = Load("pid", "pid", 0, "bench_app:pid")


def settle(leader: int, count: int, seconds: float = 60) -> None:
    """Until the workers are there and have nothing more to do."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = session_cpu(leader)
        time.sleep(0.3)
        if len(list(session(leader))) > count and session_cpu(leader) - before < 0.01:
            return
    raise Failed(f"{count} workers are not ready after {seconds:.0f} s")


@contextlib.contextmanager
def serving(peer: Peer, workers: int) -> Iterator[tuple[int, int]]:
    """The session of a server with so many workers, and its port."""
    # Of two words for the number of workers the last counts.
    many, port = replace(peer, threaded=f"{peer.threaded} --workers {workers}"), free_port()
    with tempfile.TemporaryDirectory(prefix="rwsgi-bench-") as name:
        directory = Path(name)
        process = launch(many.command(LOAD, port), directory, pinned=False)
        try:
            wait_listening(process, port, directory / "log")
            settle(process.pid, workers)
            yield process.pid, port
        finally:
            end(process)


def share(port: int) -> Counter[bytes]:
    """Requests by worker."""
    seen: Counter[bytes] = Counter()
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(CONNECTIONS)]
    for _ in range(ROUNDS):
        for client in clients:
            client.request("GET", "/")
        seen.update(client.getresponse().read() for client in clients)
    for client in clients:
        client.close()
    return seen


def switches(leader: int) -> int:
    """Voluntary context switches of all threads of all processes but the leader, the master."""
    total = 0
    for process in session(leader):
        if int(process.name) != leader:
            for status in process.glob("task/*/status"):
                total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.M)[1])
    return total


def woken(leader: int, port: int) -> float:
    """Context switches that one connection causes, its answer and its end included."""
    extra = []
    for _ in range(ARRIVALS):
        start = switches(leader)
        # The same time twice, without the connection and with it: what is measured is a rate besides.
        time.sleep(WINDOW)
        quiet = switches(leader)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        client.request("GET", "/", headers={"Connection": "close"})
        client.getresponse().read()
        client.close()
        time.sleep(WINDOW)
        extra.append((switches(leader) - quiet) - (quiet - start))
    return statistics.median(extra)


def balance(peer: Peer) -> str:
    with serving(peer, WORKERS) as (_, port):
        counts = sorted(share(port).values())
    idlest = counts[0] if len(counts) == WORKERS else 0
    return f"{counts[-1] / idlest:.2f}" if idlest else f"{WORKERS - len(counts)} got none"


def wakeups(peer: Peer) -> str:
    with serving(peer, IDLE_WORKERS) as (leader, port):
        return f"{woken(leader, port):.0f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", help="servers, by the start of their names (repeatable)")
    return parser.parse_args()


def main() -> int:
    starts = tuple(arguments().only or [""])
    shared, waking = f"busiest/idlest of {WORKERS}", f"switches of {IDLE_WORKERS} idle"
    print(f"{'server':<18} {shared:>20} {waking:>24}")
    for peer in PEERS:
        if peer.name in NAMES and peer.name.startswith(starts) and not peer.absent():
            try:
                print(f"{peer.name:<18} {balance(peer):>20} {wakeups(peer):>24}", flush=True)
            except Failed as failure:
                print(f"{peer.name:<18} left out, {failure}")
    return 0


if __name__ == "__main__":
    main()
