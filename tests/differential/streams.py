"""Streams that are nearly requests: the corpus, damaged with a grammar in mind; a seed gives the same.

Owns the flags, as transcript/flags.rs reads them, and the mutations. Must never say what becomes of a stream.
Read next: vocabulary.txt, compare.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from corpus_cases import Case, cases, unescape

# One bit a switch, from the lowest.
FLAGS = [
    "permit_obsolete_folding",
    "strip_header_spaces",
    "permit_unconventional_http_method",
    "permit_unconventional_http_version",
    "casefold_http_method",
    "limits",
    "header_map=refuse",
    "trusted",
]
LIMITS = {"limit_request_line": 40, "limit_request_fields": 4, "limit_request_field_size": 40}
# Longer cases are long by repetition.
LONGEST = 1500

Stream = tuple[int, bytes]


def vocabulary() -> dict[str, list[str]]:
    words: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "vocabulary.txt").read_text().split("\n"):
        if line.startswith("["):
            section = words.setdefault(line[1:-1], [])
        elif line.startswith("'"):
            section.append(unescape(line[1:-1]).decode("latin-1"))
    return words


WORDS = vocabulary()
# The sections of fields are called as the fields are.
FIELDS = [name for name in WORDS if name[0].isupper()]


def flags_of(case: Case) -> int:
    """The flags that come nearest to the case's settings."""
    on = {setting.partition("=")[0] if setting.startswith("limit") else setting for setting in case.policy}
    flags = sum(1 << bit for bit, name in enumerate(FLAGS) if name in on)
    return flags | (1 << FLAGS.index("limits") if on & set(LIMITS) else 0)


class Mutator:
    def __init__(self, seed: int):
        self.random = Random(seed)
        # What stands before a request is another protocol, which these flags do not know.
        usable = [case for case in cases() if len(case.data) <= LONGEST and case.file != "proxy_protocol"]
        # Most cases are refused, as they are; those that are served are worth more.
        weighed = [case for case in usable for _ in range(4 if case.ours == "200" else 1)]
        self.seeds = [(flags_of(case), case.data.decode("latin-1")) for case in weighed]
        self.lines = sorted({line for _, text in self.seeds for line in text.split("\r\n") if line})

    def streams(self, count: int) -> Iterator[Stream]:
        for _ in range(count):
            yield self.stream()

    def stream(self) -> Stream:
        random = self.random
        flags, text = random.choice(self.seeds)
        if random.random() < 0.5:
            text = self.made() + (self.made() if random.random() < 0.2 else "")
        if random.random() < 0.2:
            text += random.choice(self.seeds)[1]
        for _ in range(random.choice((0, 0, 1, 1, 1, 2, 3))):
            text = random.choice(self.MUTATIONS)(self, text)
        data = text.encode("latin-1")
        for _ in range(random.choice((0, 0, 0, 0, 1, 2))):
            data = self.bytes_changed(data)
        if random.random() < 0.25:
            flags ^= 1 << random.randrange(len(FLAGS))
        return flags, data

    def made(self) -> str:
        """A request of which a part or two may be odd."""
        random = self.random
        method = random.choice(WORDS["methods"]) if random.random() < 0.1 else "POST"
        target = random.choice(WORDS["targets"]) if random.random() < 0.3 else "/a?b"
        version = random.choice(WORDS["versions"]) if random.random() < 0.1 else "HTTP/1.1"
        fields = "".join(self.field() for _ in range(random.choice((0, 0, 1, 2, 3))))
        body, framing = random.choice((
            ("", ""), ("hello", "Content-Length: 5\r\n"), (self.chunks(), "Transfer-Encoding: chunked\r\n"),
            (self.chunks(), "Transfer-Encoding: chunked\r\n"),
        ))  # fmt: skip
        framing = framing if random.random() < 0.9 else self.field()
        return f"{method} {target} {version}\r\n{fields}{framing}\r\n{body}"

    def field(self) -> str:
        name = self.random.choice(FIELDS)
        return f"{name}: {self.random.choice(WORDS[name])}\r\n"

    def chunks(self) -> str:
        random = self.random
        size = random.choice(WORDS["sizes"]) if random.random() < 0.3 else "5"
        last = random.choice(WORDS["sizes"]) if random.random() < 0.1 else "0"
        trailers = "".join(self.field() for _ in range(random.choice((0, 0, 1, 2))))
        return f"{size}\r\nhello\r\n{last}\r\n{trailers}\r\n"

    def line_changed(self, text: str, change: str) -> str:
        lines = text.split("\r\n")
        at = self.random.randrange(len(lines))
        if change == "twice":
            lines.insert(at, lines[at])
        elif change == "gone":
            del lines[at]
        elif change == "spliced":
            lines.insert(at, self.random.choice(self.lines))
        elif change == "swapped":
            other = self.random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif change == "case":
            lines[at] = self.random.choice((str.upper, str.lower, str.swapcase))(ascii_only(lines[at]))
        elif change == "size":
            lines[at] = self.random.choice(WORDS["sizes"])
        return "\r\n".join(lines)

    def field_added(self, text: str) -> str:
        first, end, rest = text.partition("\r\n")
        return first + end + self.field() + rest

    def spaced(self, text: str) -> str:
        """White space, or what some take for it, at a joint of the grammar."""
        joints = [match.start() for match in re.finditer(r"[: ,;=]|\r\n", text)]
        if not joints:
            return text
        at = self.random.choice(joints) + self.random.randrange(2)
        return text[:at] + self.random.choice(WORDS["spaces"]) + text[at:]

    def ended(self, text: str) -> str:
        """One line's end is another."""
        ends = [match.start() for match in re.finditer("\r\n", text)]
        if not ends:
            return text
        at = self.random.choice(ends)
        return text[:at] + self.random.choice(WORDS["ends"]) + text[at + 2 :]

    def request_line_changed(self, text: str) -> str:
        first, end, rest = text.partition("\r\n")
        words = first.split(" ")
        at = self.random.randrange(len(words))
        words[at] = self.random.choice((WORDS["methods"], WORDS["targets"], WORDS["versions"])[min(at, 2)])
        return " ".join(words) + end + rest

    def cut(self, text: str) -> str:
        return text[: self.random.randrange(len(text) + 1)]

    def bytes_changed(self, data: bytes) -> bytes:
        at = self.random.randrange(len(data) + 1)
        byte = (
            self.random.choice(WORDS["bytes"]).encode("latin-1")
            if self.random.random() < 0.8
            else self.random.randbytes(1)
        )
        return data[:at] + self.random.choice((byte, b"")) + data[at + self.random.randrange(2) :]

    MUTATIONS = (
        *[lambda self, text, change=change: self.line_changed(text, change)
          for change in ("twice", "gone", "spliced", "swapped", "case", "size")],
        field_added, field_added, spaced, spaced, ended, request_line_changed, request_line_changed, cut,
    )  # fmt: skip


def ascii_only(text: str) -> str:
    """Case is changed in ASCII only, or a byte could become two."""
    return text if text.isascii() else ""
