"""The cases of corpus/*.http, as Python sees them, and docs/differences.md, which is made of them.

Owns the reading of the format (corpus/README.md) and the page. Must never say what a server does: that is for
test_corpus.py to find out.
Read next: test_corpus.py; http_corpus.rs, which reads the same files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "differences.md"
ESCAPE = re.compile(
    rb"\\(?:x(?P<hex>[0-9a-f]{2})|\((?P<count>[0-9]+)\*(?P<what>[^)]*)\)|(?P<kind>.))", re.DOTALL
)
KINDS = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
# Settings of ours: gunicorn is started without them.
OWN = {"trust_forwarded_header", "limit_request_body"}
# The one peer there is, and another one.
PEER, NOBODY = "127.0.0.1", "192.0.2.1"

HEAD = """\
<!-- From tests/corpus: `make docs`. Do not edit. -->

# Requests that gunicorn reads differently

Every case of the request corpus ([tests/corpus](../tests/corpus/README.md)) is sent to rwsgi and to
gunicorn's default worker. These are the ones of which they make something else; each line is checked in
every run of the tests. `200` means that the request is served, another status that it is refused,
`closed` that there is no answer. What differs in a request that both serve is given as the keys of the
environ that gunicorn sets otherwise.
"""

# A client that sends one request, as the corpus does here, cannot see these. tests/differential finds them.
KEPT = [
    "`close` ends a connection wherever it stands among the connection options (RFC 9112 section 9.3);"
    " gunicorn looks for it alone, in the first Connection field.",
    "`keep-alive` of HTTP/1.0 counts wherever it stands among the connection options (RFC 9112 section 9.3);"
    " gunicorn looks for it alone, in the first Connection field.",
]
TAIL = """
## On connections that are kept

gunicorn's parsers are also compared with ours over a million damaged streams (`make differential`). What they
differ in is of the kinds above, and:

"""


@dataclass
class Case:
    title: str
    file: str
    about: str = ""
    policy: list[str] = field(default_factory=list)
    gunicorn: str = ""
    why: str = ""
    data: bytes = b""
    expected: list[str] = field(default_factory=list)

    def arguments(self, server: str) -> tuple[str, ...]:
        """The command line on which the case's settings are given to `server`."""
        words = {"--forwarded-allow-ips": NOBODY}
        for setting in self.policy:
            name, _, value = setting.partition("=")
            if name == "trusted":
                words["--forwarded-allow-ips"] = PEER
            elif server == "rwsgi" or name not in OWN:
                # gunicorn's flags that are not the setting's name.
                flag = name.replace("_", "-").replace("field-size", "field_size")
                flag = flag.replace("proxy-allow-ips", "proxy-allow-from")
                words[f"--{flag}"] = value
        return tuple(word for pair in words.items() for word in pair if word)

    @property
    def ours(self) -> str:
        """What comes of the first request, by the transcript that the case expects."""
        for line in self.expected:
            word, _, rest = line.partition(" ")
            if word == "error":
                status, _, fault = rest.partition(" ")
                return "closed" if fault.endswith("Truncated") else status
            if word == "end":
                return "200"
        return "closed"


def unescape(text: str) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        if match["hex"]:
            return bytes([int(match["hex"], 16)])
        if match["count"]:
            return unescape(match["what"].decode()) * int(match["count"])
        return KINDS[match["kind"]]

    return ESCAPE.sub(plain, text.encode())


def cases() -> list[Case]:
    return [case for path in sorted((TESTS / "corpus").glob("*.http")) for case in parse(path)]


def parse(path: Path) -> list[Case]:
    found: list[Case] = []
    for line in path.read_text().split("\n"):
        if line.startswith("=== "):
            found.append(Case(line[4:], path.stem))
        elif found:
            take(found[-1], line)
    return found


def take(case: Case, line: str) -> None:
    word, _, rest = line.partition(" ")
    if word in ("about:", "gunicorn:", "why:"):
        setattr(case, word[:-1], rest)
    elif word == "policy:":
        case.policy = rest.split(" ")
    elif word == ">":
        case.expected.append(rest)
    elif line == "<eof" or line.startswith("#"):
        pass
    elif word == "<<":
        case.data += unescape(rest)
    elif line.startswith("<"):
        case.data += unescape(line[1:].removeprefix(" ")) + b"\r\n"


def differences() -> str:
    parts = [HEAD]
    reasons: dict[str, list[Case]] = {}
    for case in cases():
        if case.why:
            reasons.setdefault(case.why, []).append(case)
    for reason, same in reasons.items():
        parts.append(
            f"## {reason}\n\n| request | rwsgi | gunicorn |\n|---|---|---|\n" + "".join(map(row, same))
        )
    return "\n".join(parts) + TAIL + "".join(f"- {sentence}\n" for sentence in KEPT)


def row(case: Case) -> str:
    settings = f" ({', '.join(f'`{name}`' for name in case.policy)})" if case.policy else ""
    theirs = f"`{case.gunicorn}`" if "=" in case.gunicorn or "no " in case.gunicorn else case.gunicorn
    return f"| {case.title}{settings} | {case.ours} | {theirs} |\n"
