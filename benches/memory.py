"""Whether memory grows with the number of requests.

Owns the measure: resident memory of a server's processes after some requests and after a hundred times as
many, which may differ by one MiB. Exit status 1 when rwsgi grows by
more. Run by `make bench-memory`; --help tells the options. Read next: measure.py, peers.py.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import tempfile
from pathlib import Path

from loads import LOADS, Load
from measure import Failed, Server, serving, session, strike
from peers import ASGI, PEERS, Peer

# KiB.
BOUND = 1024


def resident(leader: int) -> int:
    """KiB of all processes of the session; what they share counts for each."""
    total = 0
    for process in session(leader):
        with contextlib.suppress(OSError):
            total += int(re.search(r"^VmRSS:\s+(\d+)", (process / "status").read_text(), re.M)[1])
    return total


def send(load: Load, server: Server, count: int) -> int:
    """At least so many requests, and how many: wrk can be bounded by seconds only."""
    done, seconds = 0, 1
    while done < count:
        seen = strike(load, server, seconds)
        if seen.error or not seen.requests:
            raise Failed(seen.error or "answers nothing")
        done += seen.requests
        seconds = max(1, min(30, round((count - done) / seen.rate)))
    return done


def grow(peer: Peer, load: Load, requests: int) -> list[tuple[int, int]]:
    """(requests, resident KiB) after about a hundredth of the requests, and after all."""
    with (
        tempfile.TemporaryDirectory(prefix="rwsgi-bench-") as name,
        serving(peer, load, Path(name)) as server,
    ):
        first = send(load, server, requests // 100)
        before = resident(server.process.pid)
        whole = first + send(load, server, max(1, requests - first))
        return [(first, before), (whole, resident(server.process.pid))]


def judge(peer: Peer, load: Load, requests: int) -> bool:
    """Prints what was found; false if rwsgi grew by more than it may."""
    try:
        (few, first), (many, last) = grow(peer, load, requests)
    except Failed as failure:
        print(f"{peer.name:<18} {load.key:<8} left out, {failure}")
        return True
    sizes = f"{first:,} KiB after {few:,} requests, {last:,} after {many:,}: {last - first:+,}"
    print(f"{peer.name:<18} {load.key:<8} {sizes}", flush=True)
    return last - first <= BOUND or not peer.name.startswith("rwsgi")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000, help="(default: %(default)s)")
    parser.add_argument(
        "--only", default="rwsgi", help="servers, by the start of their names (default: rwsgi)"
    )
    parser.add_argument(
        "--loads", default="hello,close,asgi-hello", help="keys, with commas (default: %(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    loads = [load for load in LOADS if load.key in options.loads.split(",")]
    peers = [peer for peer in PEERS + ASGI if peer.name.startswith(options.only) and not peer.absent()]
    pairs = [(peer, load) for peer in peers for load in loads if peer.takes(load)]
    flat = [judge(peer, load, options.requests) for peer, load in pairs]
    if not all(flat):
        print(f"rwsgi grew by more than {BOUND} KiB")
    return 0 if all(flat) else 1


if __name__ == "__main__":
    sys.exit(main())
