"""What came of a stream, as either server tells it; and how rwsgi's core is asked (readings.rs), in batches.

Owns the two forms. Must never judge.
Read next: compare.py.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from streams import Stream

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or "target")
PROGRAM = Path(__file__).parents[2] / TARGET / "debug/examples/readings"
# Nothing, or nothing more, was sent.
NOTHING = "nothing"
ESCAPE = re.compile(r"\\(?:x(..)|(.))")
PLAIN = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


@dataclass
class Request:
    method: str
    target: str
    path: str
    query: str
    version: str
    # Names in upper case, dropped ones left out.
    fields: list[tuple[str, str]]
    # Only gunicorn keeps them.
    trailers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    # The body ended early, and was called whole.
    is_short: bool = False


@dataclass
class Reading:
    """The requests that were read whole, and the end: `nothing`, `close`, `truncated` or a fault's name."""

    requests: list[Request]
    end: str
    # The one that was in hand when it ended.
    unfinished: Request | None = None


def ask(streams: Iterable[Stream], program: Path = PROGRAM) -> list[Reading]:
    asked = b"".join(struct.pack("<BI", flags, len(data)) + data for flags, data in streams)
    told = subprocess.run([program], input=asked, stdout=subprocess.PIPE, check=True).stdout
    readings, at = [], 0
    while at < len(told):
        (length,) = struct.unpack_from("<I", told, at)
        readings.append(parse(told[at + 4 : at + 4 + length].decode("ascii")))
        at += 4 + length
    return readings


def unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else PLAIN[found[2]], text)


def parse(transcript: str) -> Reading:
    """Reads the lines of tests/transcript."""
    reading = Reading([], NOTHING)
    request: Request | None = None
    for line in transcript.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "head":
            method, target, version, *_ = rest.split(" ")
            request = Request(method, unescape(target), "", "", version, [])
        elif word == "field":
            name, _, value = rest.partition(": ")
            request.fields.append((name.upper(), unescape(value)))
        elif word == "dropped":
            request.fields.remove(next(pair for pair in request.fields if pair[0] == rest.upper()))
        elif word in ("path", "query"):
            setattr(request, word, unescape(rest))
        elif word == "body":
            request.body = unescape(rest).encode("latin-1")
        elif word == "end":
            reading.requests.append(request)
            request = None
        elif word == "error":
            fault = rest.partition(" ")[2]
            reading.end = "truncated" if fault.endswith("Truncated") else fault
            reading.unfinished = request
        elif word == "close":
            reading.end = "close"
    return reading
