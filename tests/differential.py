"""The same mutated streams to rwsgi's HTTP core and to gunicorn's Python parser.

Owns how streams are drawn (seeded, from the request corpus) and how both readings are put into the same
words. A request that we serve and gunicorn refuses, or that both read differently, is a fault. What we refuse
and gunicorn serves is docs/differences.md's business. `make differential` draws a million,
test_differential.py some thousands.
Read next: ../fuzz/transcribe.rs, corpus/README.md.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from corpus_cases import cases
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

ROOT = Path(__file__).parent.parent
BUILD = ("cargo", "build", "--quiet", "--no-default-features", "--example", "transcribe")
PEER = ("127.0.0.1", 40000)
# Streams a call of our reader gets at once.
BATCH = 500


@dataclass
class Request:
    """One request as a server read it; `whole` if its body came to its end."""

    method: str
    target: bytes
    version: str
    fields: list[tuple[str, bytes]] = field(default_factory=list)
    body: bytes = b""
    whole: bool = False


@dataclass
class Reading:
    requests: list[Request]
    # How the connection ended: closed, need (the rest is missing), or what was wrong.
    end: str

    def served(self) -> list[Request]:
        return [request for request in self.requests if request.whole]


ESCAPES = re.compile(rb"\\(?:x([0-9a-f]{2})|(.))")
PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}


def unescape(text: str) -> bytes:
    def byte(match: re.Match[bytes]) -> bytes:
        return bytes.fromhex(match[1].decode()) if match[1] else PLAIN[match[2]]

    return ESCAPES.sub(byte, text.encode("latin-1"))


def ours_of(lines: list[str]) -> Reading:
    requests: list[Request] = []
    end = "closed"
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "head":
            method, target, version = rest.split(" ")[:3]
            requests.append(Request(method, unescape(target), version))
        elif word == "field":
            name, _, value = rest.partition(": ")
            requests[-1].fields.append((unescape(name).decode("latin-1").upper(), unescape(value)))
        elif word == "dropped":
            # In the words of gunicorn, which does not have it at all.
            dropped = unescape(rest).decode("latin-1").upper()
            requests[-1].fields = [pair for pair in requests[-1].fields if pair[0] != dropped]
        elif word == "body":
            requests[-1].body = unescape(rest)
        elif word == "end":
            requests[-1].whole = True
        elif word in ("error", "need", "closed", "close"):
            end = line
    return Reading(requests, end)


def ours(streams: list[bytes], program: Path) -> list[Reading]:
    sent = b"".join(struct.pack(">I", len(stream)) + stream for stream in streams)
    told = subprocess.run([program], input=sent, capture_output=True, check=True).stdout.decode("latin-1")
    readings, lines = [], []
    for line in told.split("\n")[:-1]:
        if line == ".":
            readings.append(ours_of(lines))
            lines = []
        else:
            lines.append(line)
    assert len(readings) == len(streams)
    return readings


def theirs(stream: bytes, config: Config) -> Reading:
    requests: list[Request] = []
    try:
        for parsed in RequestParser(config, iter([stream]), PEER):
            version = "HTTP/{}.{}".format(*parsed.version)
            fields = [(name, value.encode("latin-1")) for name, value in parsed.headers]
            requests.append(Request(parsed.method, parsed.uri.encode("latin-1"), version, fields))
            requests[-1].body = parsed.body.read()
            requests[-1].whole = True
            if parsed.should_close():
                return Reading(requests, "close")
    except StopIteration:
        return Reading(requests, "closed")
    except Exception as error:
        return Reading(requests, f"{type(error).__name__}: {error}")
    return Reading(requests, "closed")


def normal(version: str) -> str:
    """What it is served as: later minor versions as HTTP/1.1 (RFC 9110 section 2.5)."""
    return "HTTP/1.1" if version > "HTTP/1.1" else version


def disagreement(mine: Reading, other: Reading) -> str:
    """What is wrong, in a few words; empty if nothing is."""
    for number, request in enumerate(mine.served()):
        if number >= len(other.requests):
            return f"we serve what gunicorn refuses: {other.end.partition(':')[0]}"
        known = other.requests[number]
        if not known.whole:
            return f"we serve what gunicorn refuses in the body: {other.end.partition(':')[0]}"
        for name in ("method", "target", "body"):
            if getattr(request, name) != getattr(known, name):
                return f"{name} differs"
        if normal(request.version) != normal(known.version):
            return "version differs"
        if sorted(request.fields) != sorted(known.fields):
            return "fields differ"
    return ""


PIECES = [
    b"Host: a\r\n",
    b"Host: b:80\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"content-length:5 \r\n",
    b"Content-Length: 05\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 5,5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"transfer-encoding:\tChunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"X_Y: z\r\n",
    b"Content_Length: 3\r\n",
    b"X: a\r\n b\r\n",
    b"X: \r\n",
    b": x\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n",
    b"X: \xe9\r\n",
    b"X: a\x00b\r\n",
    b"Upgrade: h2c\r\n",
    b"SCRIPT_NAME: /x\r\n",
    b"X-Forwarded-Proto: https\r\n",
    b"Trailer: X\r\n",
]
LINES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /a?b=c HTTP/1.1\r\n",
    b"GET http://h/x HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"get / HTTP/1.1\r\n",
    b"GET  / HTTP/1.1\r\n",
    b"GET / HTTP/1.2\r\n",
    b"GET / HTTP/2.0\r\n",
    b"GET //a;b HTTP/1.1\r\n",
    b"GET /%41%zz HTTP/1.1\r\n",
    b"GET /#f HTTP/1.1\r\n",
    b"GET\t/ HTTP/1.1\r\n",
    b"\r\nGET / HTTP/1.1\r\n",
    b"GET / HTTP/1.1 \r\n",
    b"PUT /\xc3\xa9 HTTP/1.1\r\n",
    b"GET / http/1.1\r\n",
    b"GET /\r\n",
    b"HEAD /a HTTP/1.1\r\n",
]
BODIES = [
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"05\r\nhello\r\n00\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"5\r\nhello0\r\n\r\n",
    b"-1\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
    b"ffffffffffffffffff\r\nx",
    b"5;\xff\r\nhello\r\n0\r\n\r\n",
    b'5;a="b\\"c"\r\nhello\r\n0\r\n\r\n',
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"\r\n",
]
BYTES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"0",
    b"%",
    b'"',
    b"\x0b",
]


def draw(dice: random.Random, seeds: list[bytes]) -> bytes:
    kind = dice.random()
    if kind < 0.5:
        requests = []
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            fields = [dice.choice(PIECES) for _ in range(dice.randrange(5))]
            requests.append(
                dice.choice(LINES) + b"Host: a\r\n" * dice.randrange(2) + b"".join(fields) + b"\r\n"
            )
            requests.append(dice.choice(BODIES))
        stream = b"".join(requests)
    else:
        stream = dice.choice(seeds)
        if kind > 0.9:
            stream += dice.choice(seeds)
    for _ in range(dice.choice((0, 0, 1, 1, 2, 4))):
        at = dice.randrange(len(stream) + 1)
        match dice.randrange(5):
            case 0:
                stream = stream[:at] + dice.choice(BYTES) + stream[at:]
            case 1:
                stream = stream[:at] + stream[at + dice.randrange(1, 4) :]
            case 2:
                stream = stream[:at] + dice.choice(PIECES) + stream[at:]
            case 3:
                stream = stream[:at] + bytes([dice.randrange(256)]) + stream[at + 1 :]
            case _:
                stream = stream[:at] + stream[at : at + 20].swapcase() + stream[at + 20 :]
    return stream


def batches(count: int, seed: int) -> Iterator[list[bytes]]:
    dice = random.Random(seed)
    seeds = [case.data for case in cases() if len(case.data) < 2000]
    for begin in range(0, count, BATCH):
        yield [draw(dice, seeds) for _ in range(min(BATCH, count - begin))]


@dataclass
class Outcome:
    streams: int = 0
    # Requests that both served alike.
    agreed: int = 0
    faults: list[tuple[str, bytes]] = field(default_factory=list)


def compare(count: int, seed: int, program: Path) -> Outcome:
    config = Config()
    config.set("http_parser", "python")
    outcome = Outcome()
    for streams in batches(count, seed):
        for stream, mine in zip(streams, ours(streams, program), strict=True):
            other = theirs(stream, config)
            outcome.streams += 1
            wrong = disagreement(mine, other)
            if wrong:
                outcome.faults.append((wrong, stream))
            else:
                outcome.agreed += len(mine.served())
    return outcome


def build() -> Path:
    """Our reader as a program."""
    subprocess.run(BUILD, cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug" / "examples" / "transcribe"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcome = compare(options.streams, options.seed, build())
    print(f"{outcome.streams} streams, {outcome.agreed} requests read alike")
    for wrong, times in Counter(wrong for wrong, _ in outcome.faults).most_common():
        print(f"{times:8} FAULT: {wrong}")
        for stream in [stream for name, stream in outcome.faults if name == wrong][:4]:
            print("         ", stream)
    return int(bool(outcome.faults))


if __name__ == "__main__":
    sys.exit(main())
