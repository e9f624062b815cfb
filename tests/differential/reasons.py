"""Why rwsgi may read a stream otherwise than gunicorn: the reasons of the corpus, and what each covers.

Owns the conditions, which look at requests with eyes of their own: a reason covers what it says and no more.
Must never hold a sentence of its own: so docs/differences.md has them all.
Read next: compare.py, which asks; corpus/README.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address

from corpus_cases import KEPT, cases
from readings import Reading, Request
from streams import FLAGS, Stream


@dataclass
class Difference:
    """What of request `number` differs: the name of a part, if both served it; else, in its place,

    - `refused`: only rwsgi saw a fault; `closed`: rwsgi closed before it; `short`: one saw it end early
    - `accepted`: only gunicorn saw a fault; `kept`: gunicorn closed before it
    - `nothing`: no byte came of it
    """

    kind: str
    number: int
    stream: Stream
    mine: Request | None
    their: Request | None
    ours: Reading
    theirs: Reading

    def __str__(self) -> str:
        flags, data = self.stream
        return (
            f"{self.kind} (request {self.number}, flags {flags:#04x})\n  {data!r}\n"
            f"  rwsgi    {self.ours.end} {self.mine}\n  gunicorn {self.theirs.end} {self.their}"
        )

    def is_on(self, flag: str) -> bool:
        return bool(self.stream[0] >> FLAGS.index(flag) & 1)


NAME = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
FUTURE = re.compile(r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<authority>[^/?#]*)")
AUTHORITY = re.compile(r"(?P<host>\[[^]]*\]|[^:]*)(?::(?P<port>[0-9]*))?")
ASCII_DIGITS = re.compile("[0-9]+")


def is_host(text: str) -> bool:
    """RFC 3986 section 3.2, without a user; a port has 16 bits."""
    parts = AUTHORITY.fullmatch(text)
    if not parts or int(parts["port"] or 0) > 0xFFFF:
        return False
    host = parts["host"]
    if not host.startswith("["):
        return bool(NAME.fullmatch(host))
    if not host.endswith("]"):
        return False
    try:
        return bool(FUTURE.fullmatch(host[1:-1]) or ("%" not in host and IPv6Address(host[1:-1])))
    except AddressValueError:
        return False


def values(request: Request, name: str) -> list[str]:
    return [value for field, value in request.fields if field == name]


def bad_host(it: Difference) -> bool:
    hosts = values(it.their, "HOST")
    return it.ours.end == "Field" and bool(hosts) and not (hosts[0] == "" or is_host(hosts[0]))


def bad_target(it: Difference) -> str:
    """Which rule a target breaks that gunicorn does not have."""
    target, uri = it.their.target, URI.match(it.their.target)
    if it.ours.end != "RequestLine":
        return ""
    if it.their.method == "CONNECT":
        return "" if is_host(target) and ASCII_DIGITS.fullmatch(target.rpartition(":")[2]) else "connect"
    if target.startswith("/") or target == "*":
        return ""
    if not uri:
        return "form"
    if "@" in uri["authority"]:
        return "user"
    if not uri["authority"]:
        return "no host"
    return "" if is_host(uri["authority"]) else "host"


def target(rule: str) -> Callable[[Difference], bool]:
    return lambda it: bad_target(it) == rule


def other_version(it: Difference) -> bool:
    """The nearest version that is spoken."""
    major, minor = map(int, it.their.version[5:].split("."))
    return it.mine.version == ("HTTP/1.0" if (major, minor) <= (1, 0) else "HTTP/1.1")


def beyond_64_bits(it: Difference) -> bool:
    return it.ours.end == "Field" and any(
        int(length) >= 1 << 64 for length in values(it.their, "CONTENT-LENGTH")
    )


def options(request: Request) -> set[str]:
    """The connection options, of all fields."""
    return {
        option.strip(" \t").lower() for value in values(request, "CONNECTION") for option in value.split(",")
    }


def lone_option(request: Request) -> str:
    """The only one gunicorn sees."""
    return (values(request, "CONNECTION") or [""])[0].strip(" \t").lower()


def close_among_others(it: Difference) -> bool:
    before = it.ours.requests[it.number - 1]
    return "close" in options(before) and lone_option(before) != "close"


def keep_alive_among_others(it: Difference) -> bool:
    before = it.ours.requests[it.number - 1]
    return (
        before.version == "HTTP/1.0"
        and "keep-alive" in options(before)
        and lone_option(before) != "keep-alive"
    )


def folded(it: Difference) -> bool:
    """The same but for the white space around values, which only folding can leave there."""

    def trimmed(request: Request) -> list[tuple[str, str]]:
        return [(name, value.strip(" ")) for name, value in request.fields]

    return it.is_on("permit_obsolete_folding") and trimmed(it.mine) == trimmed(it.their)


def folded_and_refused(it: Difference) -> bool:
    """gunicorn compares the value with a space before or behind it."""
    compared = rb"(?i)\n(content-length|expect)[ \t]*:([ \t]*\r\n[ \t]|[^\n]*\n([ \t]+[^\n]*\n)*[ \t]+\r\n)"
    return it.is_on("permit_obsolete_folding") and bool(re.search(compared, it.stream[1]))


def future_in_upper_case(it: Difference) -> bool:
    """Python's urlsplit() wants it small."""
    uri = URI.match(it.mine.target)
    return it.theirs.end == "InvalidRequestLine" and bool(uri) and uri["authority"].startswith("[V")


def dropped_and_counted(it: Difference) -> bool:
    drops = not it.is_on("header_map=refuse")
    has_underscore = re.search(rb"\n[^:\r\n]*_[^:\r\n]*:", it.stream[1])
    return it.ours.end == "TooManyFields" and drops and bool(has_underscore)


def content_type_in_a_trailer(it: Difference) -> bool:
    return it.ours.end == "FieldName" and any(name == "CONTENT-TYPE" for name, _ in it.their.trailers)


def no_path(it: Difference) -> bool:
    return it.mine.method == "CONNECT" and it.mine.path == it.mine.query == ""


def documented(beginning: str) -> str:
    """The one sentence of the corpus that begins so."""
    (sentence,) = {case.why for case in cases() if case.why.startswith(beginning)}
    return sentence


REASONS: list[tuple[str, str, Callable[[Difference], bool]]] = [
    ("refused", documented("A Host that is not a host"), bad_host),
    ("refused", documented("The target of a CONNECT is"), target("connect")),
    ("refused", documented("User information in a target"), target("user")),
    ("refused", documented("A URI without a host"), target("no host")),
    ("refused", documented("A host outside the grammar"), target("host")),
    ("refused", documented("A target is an absolute path, a URI"), target("form")),
    (
        "refused",
        documented("A length beyond 64 bits is none; gunicorn reads what comes and calls"),
        beyond_64_bits,
    ),
    ("refused", documented("Fields that `header_map` drops"), dropped_and_counted),
    ("refused", documented("RFC 9110 section 6.5.1 keeps"), content_type_in_a_trailer),
    ("short", documented("A body that was cut off"), lambda it: it.their.is_short),
    ("accepted", documented("The `v` of an address"), future_in_upper_case),
    ("accepted", documented("White space around a folded value"), folded_and_refused),
    ("fields", documented("White space around a folded value"), folded),
    ("version", documented("A server answers in a version that it speaks"), other_version),
    ("path query", documented("The target of a CONNECT has no path"), no_path),
    ("closed", KEPT[0], close_among_others),
    ("kept", KEPT[1], keep_alive_among_others),
]


def reason(difference: Difference) -> str | None:
    for kinds, why, covers in REASONS:
        if difference.kind in kinds.split(" ") and covers(difference):
            return why
    return None
