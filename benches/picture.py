"""CPU per request as a picture: a group of bars for each load, each group with a scale of its own.

Owns the SVG, which is written by hand so that it needs no library and reads well in light and dark mode.
A server whose rounds all had errors gets the word instead of a bar. Read next: report.py.
"""

from __future__ import annotations

from html import escape

from loads import Load
from report import Report, Summary, digits, summarise

COLUMNS, PANEL, MARGIN, GAP = 3, 310, 20, 24
LABELS, BARS, LINE, HEAD, TOP = 115, 140, 18, 26, 72
OURS, BARE = "rwsgi", "limit"
STYLE = """
  svg { color-scheme: light dark; }
  text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .page { fill: #ffffff; }
  .title { font-size: 16px; font-weight: 600; }
  .load { font-weight: 600; }
  .quiet { fill: #59636e; }
  .bar { fill: #afb8c1; }
  .ours { fill: #c2410c; }
  .bare { fill: none; stroke: #59636e; stroke-dasharray: 3 2; }
  .name.ours { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .page { fill: #0d1117; }
    .quiet { fill: #9198a1; }
    .bar { fill: #57606a; }
    .ours { fill: #fb923c; }
    .bare { fill: none; stroke: #9198a1; }
  }
"""


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def kind(name: str) -> str:
    return "ours" if name.startswith(OURS) else "bare" if name == BARE else "bar"


def bar(x: float, y: float, name: str, summary: Summary, longest: float) -> str:
    spent = summary.median("cpu") if summary.sound else None
    ours = "name ours" if name.startswith(OURS) else "name"
    label = text(x + LABELS - 8, y + 12, name, ours, "end")
    if spent is None:
        return label + text(x + LABELS, y + 12, "errors", "quiet")
    width = max(1.0, spent / longest * BARS)
    place = f'x="{x + LABELS:g}" y="{y + 1:g}" width="{width:.1f}" height="{LINE - 5}" rx="2"'
    shape = f'<rect {place} class="{kind(name)}"/>'
    return label + shape + text(x + LABELS + width + 6, y + 12, digits(spent), "quiet")


def panel(x: float, y: float, load: Load, summaries: dict[str, Summary]) -> list[str]:
    """Best first; those with errors come last."""
    spent = {name: summary.median("cpu") for name, summary in summaries.items() if summary.sound}
    longest = max((value for value in spent.values() if value), default=1.0)
    order = sorted(summaries, key=lambda name: spent.get(name) or float("inf"))
    rows = [bar(x, y + HEAD + LINE * n, name, summaries[name], longest) for n, name in enumerate(order)]
    return [text(x, y + 14, load.name, "load"), *rows]


def draw(report: Report) -> str:
    loads = [load for load in report.loads() if load.pictured]
    parts, y = [], float(TOP)
    for start in range(0, len(loads), COLUMNS):
        line = loads[start : start + COLUMNS]
        for column, load in enumerate(line):
            summaries = {name: summarise(rounds) for name, rounds in report.results[load.key].items()}
            parts += panel(MARGIN + column * (PANEL + GAP), y, load, summaries)
        y += HEAD + LINE * max(len(report.results[load.key]) for load in line) + GAP
    return page(report, parts, y)


def page(report: Report, parts: list[str], height: float) -> str:
    width = 2 * MARGIN + COLUMNS * PANEL + (COLUMNS - 1) * GAP
    title = "CPU per request in microseconds, one worker on one CPU; less is better"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" '
        f'height="{height:g}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height:g}" rx="6" class="page"/>',
        text(MARGIN, 30, title, "title"),
        text(MARGIN, 50, report.conditions(), "quiet"),
    ]
    return "\n".join([*head, *parts, "</svg>", ""])
