"""CPU per request, rate, latency and memory of rwsgi beside other servers, in one run on one machine.

Owns the command line and the order of the rounds: they alternate between the servers, and who comes first
rotates, so that a change of the machine's mood hits them all. Must never compare numbers of different runs.
`make bench` runs it in a virtualenv with all peers. Read next: loads.py, peers.py, measure.py, report.py.
"""

from __future__ import annotations

import argparse
import datetime
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import machine
import picture
from loads import LOADS, Load
from measure import Refused, Round, measure
from peers import ASGI, LOGGING, PEERS, Peer, limit
from report import Report, markdown, summarise, table

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PUBLISHED = HERE.parent / "docs" / "benchmark.svg"


def names(words: str) -> list[str]:
    return [word for word in words.split(",") if word]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog=f"Loads: {', '.join(load.key for load in LOADS)}. Servers: limit (a bare loop in C), "
        f"{', '.join(peer.name for peer in [*PEERS, *ASGI])}. A server that is not installed is left out.",
    )
    parser.add_argument("--loads", type=names, action="extend", help="their keys, with commas (default: all)")
    parser.add_argument("--only", type=names, action="extend", help="servers, by the start of their names")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each round (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of a second, not kept")
    parser.add_argument("--base", default="rwsgi sync", help="whom ratios refer to (default: %(default)s)")
    parser.add_argument(
        "--json", type=Path, help="where to keep the results, with .md and .svg beside (default: results/)"
    )
    parser.add_argument("--publish", action="store_true", help="put the picture into docs/ for the README")
    parser.add_argument("--render", type=Path, metavar="JSON", help="only write .md and .svg of a result")
    parser.add_argument("--logs", action="store_true", help="compare what rwsgi logs instead of servers")
    parser.add_argument(
        "--at-most", type=float, help="fail unless rwsgi sync needs at most this share of gunicorn sync's CPU"
    )
    options = parser.parse_args()
    unknown = set(options.loads or []) - {load.key for load in LOADS}
    if unknown:
        parser.error(
            f"no such load: {', '.join(sorted(unknown))}; there are {', '.join(load.key for load in LOADS)}"
        )
    if options.quick:
        options.rounds = options.seconds = 1
    return options


def chosen_loads(options: argparse.Namespace) -> list[Load]:
    wanted = [load for load in LOADS if load.key in (options.loads or [load.key])]
    for load in wanted:
        if load.missing():
            print(f"{load.name}: left out, {load.missing()} is not installed")
    return [load for load in wanted if not load.missing()]


def chosen_peers(options: argparse.Namespace, directory: Path, absent: dict[str, str]) -> list[Peer]:
    bare = limit(directory)
    every = LOGGING if options.logs else [*([bare] if bare else []), *PEERS, *ASGI]
    starts = tuple(options.only or [""])
    wanted = [peer for peer in every if peer.name.startswith(starts)]
    if bare is None:
        absent["limit"] = "there is no C compiler"
    absent |= {peer.name: peer.absent() for peer in wanted if peer.absent()}
    return [peer for peer in wanted if not peer.absent()]


class Run:
    """One run: all rounds of a load, then the next load."""

    def __init__(self, options: argparse.Namespace, directory: Path):
        self.options = options
        self.directory = directory
        self.report = Report(
            date=datetime.date.today().isoformat(),
            machine=machine.notes(),
            versions={},
            rounds=options.rounds,
            seconds=options.seconds,
            base=options.base,
        )
        self.peers = chosen_peers(options, directory, self.report.absent)
        self.report.versions = {peer.package: peer.version() for peer in self.peers if peer.package}

    def load(self, load: Load) -> None:
        peers = [peer for peer in self.peers if peer.takes(load)]
        results: dict[str, list[Round]] = {peer.name: [] for peer in peers}
        for number in range(self.options.rounds):
            first = number % max(1, len(peers))
            for peer in peers[first:] + peers[:first]:
                self.round(peer, load, results)
        self.report.results[load.key] = {name: rounds for name, rounds in results.items() if rounds}

    def round(self, peer: Peer, load: Load, results: dict[str, list[Round]]) -> None:
        if peer.name in self.report.absent:
            return
        try:
            warm = not self.options.quick
            results[peer.name].append(measure(peer, load, self.directory, self.options.seconds, warm))
        except Refused as refusal:
            self.report.absent[peer.name] = str(refusal)
            print(f"{peer.name}: left out, {refusal}")


def keep(report: Report, path: Path) -> None:
    """The result, and beside it what people read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report.write(path)
    path.with_suffix(".md").write_text(markdown(report))
    path.with_suffix(".svg").write_text(picture.draw(report))
    print(f"written: {path}, .md, .svg")


def over(report: Report, share: float) -> list[str]:
    """The loads in which rwsgi needs a larger share of gunicorn's CPU than it may."""
    found = []
    for load in report.loads():
        spent = [
            summarise(report.results[load.key].get(name, [])).median("cpu")
            for name in ("rwsgi sync", "gunicorn sync")
        ]
        if load.threads == 1 and (None in spent or spent[0] > share * spent[1]):
            found.append(load.name)
    return found


def run(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory(prefix="rwsgi-bench-") as name:
        directory = Path(name)
        (directory / "megabyte").write_bytes(b"x" * (1 << 20))
        run = Run(options, directory)
        for peer, why in run.report.absent.items():
            print(f"{peer}: left out, {why}")
        for load in chosen_loads(options):
            run.load(load)
            print(table(run.report, load), flush=True)
        return run.report


def prepare() -> str:
    """What is missing here, if anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        return "1,000 connections need more open files: raise the hard limit (ulimit -Hn) to 4096"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    missing = [program for program in ("wrk", "taskset") if not shutil.which(program)]
    return f"{' and '.join(missing)} not found: apt-get install wrk util-linux" if missing else ""


def main() -> int:
    options = arguments()
    if options.render:
        keep(Report.read(options.render), options.render)
        return 0
    missing = prepare()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    report = run(options)
    if options.json or not (options.quick or options.logs):
        keep(report, options.json or RESULTS / f"{report.date}-{machine.slug()}.json")
    if options.publish:
        PUBLISHED.write_text(picture.draw(report))
    too_much = over(report, options.at_most) if options.at_most else []
    for name in too_much:
        print(f"{name}: rwsgi sync needs more than {options.at_most} of gunicorn sync's CPU", file=sys.stderr)
    return int(bool(too_much))


if __name__ == "__main__":
    sys.exit(main())
