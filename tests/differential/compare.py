"""Compares what rwsgi's core and gunicorn's parser make of the same streams (`make differential`: a million).

A difference that no reason of reasons.py covers ends it with status 1, and with the stream. Must never excuse
one itself. Read next: reasons.py, streams.py.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import readings
from gunicorn_reader import read
from readings import Reading
from reasons import Difference, reason
from streams import Mutator, Stream

BATCH = 5000
PARTS = ("method", "target", "path", "query", "version", "fields", "body")


def differences(stream: Stream, ours: Reading, theirs: Reading) -> Iterable[Difference]:
    """Request by request, up to the first that they do not agree on."""
    for number, (mine, their) in enumerate(zip_longest(ours.requests, theirs.requests)):
        if mine is None or their is None:
            kind = ended(ours, "refused", "closed") if mine is None else ended(theirs, "accepted", "kept")
            yield Difference(
                kind, number, stream, mine or ours.unfinished, their or theirs.unfinished, ours, theirs
            )
            return
        parts = [part for part in PARTS if getattr(mine, part) != getattr(their, part)]
        for part in parts:
            yield Difference(part, number, stream, mine, their, ours, theirs)
        if "body" in parts:
            return
    # Both served the same. An end that only one found wrong is behind them all.


def ended(reading: Reading, at_fault: str, at_will: str) -> str:
    """Why one of the two has no such request: it saw a fault, the end of the stream, or closed."""
    return {"close": at_will, "truncated": "short", readings.NOTHING: "nothing"}.get(reading.end, at_fault)


def parsers_disagree(difference: Difference, second: Reading) -> str | None:
    """gunicorn's two parsers differ in versions and in spaces around targets. We follow the one in Python."""
    found = differences(difference.stream, difference.ours, second)
    if any(not reason(other) for other in found):
        return None
    return f"gunicorn's Python parser agrees with rwsgi ({difference.kind}, {difference.theirs.end})"


@dataclass
class Tally:
    streams: int = 0
    served: int = 0
    refused: int = 0
    bodies: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unexplained: list[Difference] = field(default_factory=list)

    def take(self, stream: Stream, ours: Reading, theirs: Reading, second: Reading | None = None) -> None:
        self.streams += 1
        self.served += bool(ours.requests)
        self.refused += ours.end not in ("close", readings.NOTHING)
        self.bodies += any(request.body for request in ours.requests)
        for difference in differences(stream, ours, theirs):
            why = reason(difference)
            if not why and second is not None:
                why = parsers_disagree(difference, second)
            if why:
                self.reasons[why] += 1
            else:
                self.unexplained.append(difference)


def run(seed: int, count: int, parser: str = "python", program: Path = readings.PROGRAM) -> Tally:
    mutator, tally = Mutator(seed), Tally()
    while tally.streams < count:
        batch = list(mutator.streams(min(BATCH, count - tally.streams)))
        for stream, ours in zip(batch, readings.ask(batch, program), strict=True):
            second = read(*stream, "python") if parser != "python" else None
            tally.take(stream, ours, read(*stream, parser), second)
    return tally


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--streams", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument(
        "--parser", choices=("python", "auto"), default="python", help="gunicorn's http_parser"
    )
    arguments.add_argument("--program", type=Path, default=readings.PROGRAM, help="the readings example")
    chosen = arguments.parse_args()
    tally = run(chosen.seed, chosen.streams, chosen.parser, chosen.program)
    print(
        f"{tally.streams} streams: {tally.served} served, {tally.refused} refused, {tally.bodies} with a body"
    )
    for why, count in tally.reasons.most_common():
        print(f"{count:8} {why}")
    for difference in tally.unexplained[:20]:
        print(f"\nUNEXPLAINED {difference}")
    if tally.unexplained:
        print(f"\n{len(tally.unexplained)} differences have no reason")
    return 1 if tally.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
