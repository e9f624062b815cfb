"""Instructions that a request costs rwsgi in user space: the figure for a busy machine.

Owns the counting by valgrind's callgrind. A server serves N requests and ends, another serves 2N; the
difference of all its processes' instructions, divided by N, is a request without what starting and ending
cost. Counts are compared with those kept in results/instructions.json, which only mean something for the
same Python and compiler. Must never be read as time: the kernel, where most of it goes, is not counted.
Run by `make bench-instructions`; --help tells the options. Read next: loads.py; measure.py.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loads import LOADS, Load
from measure import Failed, end, free_port, launch, wait_listening

KEPT = Path(__file__).resolve().parent / "results" / "instructions.json"
# The first requests fill caches; both servers serve them.
WARM = 50
# The number of requests of the shorter run: enough for the timers' share to vanish.
COUNTS = {"hello": 1000, "browser": 1000, "close": 1000, "flask": 300}
# A request of Python code may differ by this much from run to run.
NOISE = 0.01


@dataclass(frozen=True)
class Server:
    """Words for `python -m rwsgi`, and the name that its counts are kept by."""

    name: str
    words: tuple[str, ...]


SERVERS = [Server("sync", ()), Server("gthread", ("-k", "gthread"))]


def command(server: Server, load: Load, port: int) -> list[str]:
    # No address space randomisation: hash tables keyed by addresses would differ.
    words = f"setarch -R valgrind --tool=callgrind {sys.executable} -m rwsgi"
    # Nothing is in time here, so nothing may be killed for being late.
    options = f"-b 127.0.0.1:{port} -w 1 --timeout 0 --graceful-timeout 600 --log-level warning"
    return [*words.split(), *options.split(), *server.words, load.app]


def send(load: Load, port: int, count: int) -> None:
    """One request after the other; http.client connects again where the server closes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    fields = dict(field.split(": ", 1) for field in load.fields)
    for _ in range(count):
        connection.request("GET", "/", headers=fields)
        body = connection.getresponse().read()
        if len(body) != load.answer:
            raise Failed(f"answers wrongly: {body[:80]!r}")
    connection.close()


def total(directory: Path) -> int:
    """Instructions of the master and its worker."""
    counts = [re.search(r"^totals: (\d+)", path.read_text(), re.M) for path in directory.glob("counts.*")]
    if len(counts) < 2 or not all(counts):
        raise Failed(f"valgrind did not count every process: {(directory / 'log').read_text()[-500:]}")
    return sum(int(found[1]) for found in counts if found)


def count(server: Server, load: Load, requests: int) -> int:
    """Instructions of a whole life of a server that serves so many requests."""
    with tempfile.TemporaryDirectory(prefix="rwsgi-bench-") as name:
        directory, port = Path(name), free_port()
        # Not an argument: a worker writes its title where valgrind keeps its own, and still needs them.
        os.environ["VALGRIND_OPTS"] = f"--quiet --callgrind-out-file={directory}/counts.%p"
        process = launch(command(server, load, port), directory, pinned=False)
        try:
            wait_listening(process, port, directory / "log", 120)
            send(load, port, WARM + requests)
            process.terminate()
            process.wait(120)
        finally:
            end(process)
        return total(directory)


def per_request(server: Server, load: Load) -> int:
    requests = COUNTS[load.key]
    return round((count(server, load, 2 * requests) - count(server, load, requests)) / requests)


def change(before: int | None, now: int) -> str:
    if not before:
        return "nothing to compare with"
    share = now / before - 1
    return f"{share:+.1%}{'' if abs(share) > NOISE else ', within noise'} (was {before:,})"


def measured(kept: dict[str, int], keys: list[str]) -> dict[str, int]:
    """What --load asks for, printed as it comes; a server that refuses to start is left out."""
    counts = {}
    for server in SERVERS:
        for load in (load for load in LOADS if load.key in keys and not load.missing()):
            name = f"{server.name} {load.key}"
            try:
                counts[name] = per_request(server, load)
            except Failed as failure:
                print(f"{server.name}: left out, {failure}")
                break
            compared = change(kept.get(name), counts[name])
            print(f"{name:<16} {counts[name]:>9,} instructions a request, {compared}", flush=True)
    return counts


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--loads", type=lambda words: words.split(","), default=list(COUNTS))
    parser.add_argument("--save", action="store_true", help="keep the counts for later comparisons")
    parser.add_argument("--at-most", type=float, metavar="PERCENT", help="fail if a count grew by more")
    options = parser.parse_args()
    if set(options.loads) - set(COUNTS):
        parser.error(f"the loads are {', '.join(COUNTS)}")
    return options


def main() -> int:
    options = arguments()
    missing = [program for program in ("valgrind", "setarch") if not shutil.which(program)]
    if missing:
        print(f"{' and '.join(missing)} not found: apt-get install valgrind util-linux", file=sys.stderr)
        return 2
    os.environ["PYTHONHASHSEED"] = "0"
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"counts": {}}
    where = conditions()
    if kept.get("conditions", where) != where:
        print(f"The counts kept are of {kept['conditions']}, these of {where}.")
    counts = measured(kept["counts"], options.loads)
    if options.save:
        KEPT.write_text(json.dumps({"conditions": where, "counts": kept["counts"] | counts}, indent=1) + "\n")
    grown = options.at_most is not None and any(
        now > kept["counts"].get(name, now) * (1 + options.at_most / 100) for name, now in counts.items()
    )
    return int(grown)


def conditions() -> str:
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False).stdout.split()
    return f"Python {platform.python_version()}, rustc {rustc[1] if len(rustc) > 1 else 'unknown'}"


if __name__ == "__main__":
    sys.exit(main())
