"""What a run found: kept as JSON, told as a Markdown table for a load.

Owns the record of a run, its medians and its tables. Rounds with errors count as errors, and their figures
only where a server has no better ones. Must never leave out a server that was asked to run, nor compare
figures of two runs. Read next: picture.py, which draws the same.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from loads import LOADS, Load
from measure import Round

HEADINGS = (
    "server",
    "µs CPU/request",
    "min-max",
    "to base",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "MiB",
    "errors",
)


@dataclass
class Report:
    date: str
    # What ran where: CPU, kernel, Python, and the version of every server.
    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    seconds: int
    base: str
    # Rounds by the key of the load, then by the name of the server.
    results: dict[str, dict[str, list[Round]]] = field(default_factory=dict)
    # Why a server was not measured.
    absent: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Report:
        report = cls(**json.loads(path.read_text()))
        for servers in report.results.values():
            for name, rounds in servers.items():
                servers[name] = [Round(**fields) for fields in rounds]
        return report

    def loads(self) -> list[Load]:
        return [load for load in LOADS if load.key in self.results]

    def conditions(self) -> str:
        """Where and how, in a line; the figures mean nothing without it."""
        rounds = f"median of {self.rounds} rounds" if self.rounds > 1 else "one round"
        quick = ", too short a run to rely on" if self.rounds * self.seconds < 10 else ""
        return f"{self.date}, {self.machine['cpu']}, {rounds} of {self.seconds} s{quick}"


@dataclass(frozen=True)
class Summary:
    """The medians of a server's rounds; `sound` if the figures come from rounds without errors."""

    rounds: list[Round]
    sound: bool
    errors: str

    def values(self, name: str) -> list[float]:
        found = (getattr(one, name) for one in self.rounds)
        return [value for value in found if value is not None]

    def median(self, name: str) -> float | None:
        values = self.values(name)
        return statistics.median(values) if values else None


def summarise(rounds: list[Round]) -> Summary:
    good = [one for one in rounds if not one.error]
    bad = [one.error for one in rounds if one.error]
    errors = f"{len(bad)} of {len(rounds)} rounds: {bad[0]}" if bad else ""
    return Summary(good or rounds, bool(good), errors)


def digits(value: float | None) -> str:
    """Three significant digits; no more of them mean anything here."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def row(name: str, summary: Summary, base: float | None) -> tuple[str, ...]:
    spent = summary.values("cpu")
    middle = summary.median("cpu")
    return (
        name,
        digits(middle),
        f"{digits(min(spent))}-{digits(max(spent))}" if spent else "-",
        f"{middle / base:.2f}" if middle and base else "-",
        *(digits(summary.median(figure)) for figure in ("rate", "p50", "p99", "memory")),
        summary.errors,
    )


def table(report: Report, load: Load) -> str:
    """Aligned, so that it reads well on a terminal and as Markdown."""
    summaries = {name: summarise(rounds) for name, rounds in report.results[load.key].items()}
    base = summaries[report.base].median("cpu") if report.base in summaries else None
    rows = [HEADINGS, *(row(name, summary, base) for name, summary in summaries.items())]
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEADINGS))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:-1]), "-" * widths[-1]]
    lines = [rows[0], tuple(rule), *rows[1:]]
    return "\n".join([f"### {load.name}", "", *(aligned(line, widths) for line in lines), ""])


def aligned(line: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        cell.rjust(width) if 0 < column < len(widths) - 1 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return f"| {' | '.join(cells)} |"


def markdown(report: Report) -> str:
    servers = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    machine = "; ".join(f"{what}: {value}" for what, value in report.machine.items())
    lines = [f"# {report.conditions()}", "", f"{machine}.", "", f"{servers}.", ""]
    lines += [f"{name} was not measured: {why}.\n" for name, why in report.absent.items()]
    return "\n".join([*lines, *(table(report, load) for load in report.loads())])
