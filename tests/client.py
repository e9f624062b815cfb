"""A strict HTTP/1 client on a raw socket.

Owns the tests' view of a response: every byte is checked against RFC 9112, so that a server which frames a
message wrongly fails the test that reads it. Must never be lenient, repair anything, or wait without a
deadline.
Read next: server.py, which starts what this talks to.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

DEADLINE = 10.0
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2}) ([\t \x21-\x7e\x80-\xff]*)")
FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t \x21-\x7e\x80-\xff]*?)[ \t]*")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+")

# A TCP address, or the path of a unix socket.
Address = tuple[str, int] | str


class BadResponse(AssertionError):
    """The server sent something that is not HTTP/1."""


class Truncated(BadResponse):
    """The connection ended in the middle of a response."""


@dataclass
class Response:
    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    framing: str = "none"
    chunks: list[bytes] = field(default_factory=list)
    interim: list[Response] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) < 2, f"{name} was sent {len(values)} times"
        return values[0] if values else None


class Connection:
    """One connection. Reads time out after `DEADLINE` seconds unless told otherwise."""

    def __init__(self, address: Address, timeout: float = DEADLINE):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.received = bytearray()
        self.eof = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def fill(self) -> bool:
        """Read once more; False at the end of the stream."""
        if not self.eof:
            data = self.socket.recv(65536)
            self.received += data
            self.eof = not data
        return not self.eof

    def line(self) -> bytes:
        while b"\n" not in self.received:
            if not self.fill():
                raise Truncated(f"end of stream in a line: {bytes(self.received)!r}")
        line, _, rest = self.received.partition(b"\n")
        if not line.endswith(b"\r"):
            raise BadResponse(f"line without CRLF: {bytes(line)!r}")
        self.received = rest
        return bytes(line[:-1])

    def exactly(self, size: int) -> bytes:
        while len(self.received) < size:
            if not self.fill():
                raise Truncated(f"{len(self.received)} of {size} bytes")
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def rest(self) -> bytes:
        """Everything until the server closes."""
        while self.fill():
            pass
        data = bytes(self.received)
        self.received.clear()
        return data

    def head(self) -> Response:
        line = self.line()
        match = STATUS_LINE.fullmatch(line)
        if match is None:
            raise BadResponse(f"bad status line {line!r}")
        version, status, reason = (part.decode("latin-1") for part in match.groups())
        return Response(version, int(status), reason, list(self.fields()))

    def fields(self) -> Iterator[tuple[str, str]]:
        while line := self.line():
            match = FIELD_LINE.fullmatch(line)
            if match is None:
                raise BadResponse(f"bad field line {line!r}")
            name, value = match.groups()
            yield name.decode("latin-1"), value.decode("latin-1")

    def response(self, method: str = "GET") -> Response:
        """The next final response, its interim ones in `interim`."""
        interim = []
        response = self.head()
        while 100 <= response.status < 200:
            interim.append(response)
            response = self.head()
        response.interim = interim
        self.read_body(response, method)
        return response

    def read_body(self, response: Response, method: str) -> None:
        coding = response.value("Transfer-Encoding")
        length = response.value("Content-Length")
        if coding is not None and length is not None:
            raise BadResponse("both Transfer-Encoding and Content-Length")
        if method == "HEAD" or response.status in (204, 304):
            if response.status == 204 and (coding or length):
                raise BadResponse("framing fields on 204")
            return
        if coding is not None:
            if coding != "chunked" or response.version != "HTTP/1.1":
                raise BadResponse(f"{coding!r} on {response.version}")
            response.framing = "chunked"
            response.chunks = list(self.chunks())
            response.body = b"".join(response.chunks)
        elif length is not None:
            if not length.isdecimal():
                raise BadResponse(f"Content-Length {length!r}")
            response.framing = "length"
            response.body = self.exactly(int(length))
        else:
            response.framing = "close"
            response.body = self.rest()

    def chunks(self) -> Iterator[bytes]:
        while True:
            line = self.line()
            if CHUNK_SIZE.fullmatch(line) is None:
                raise BadResponse(f"bad chunk size {line!r}")
            size = int(line, 16)
            if size == 0:
                break
            yield self.exactly(size)
            if self.exactly(2) != b"\r\n":
                raise BadResponse("chunk not ended by CRLF")
        if self.line() != b"":
            raise BadResponse("trailers where none were promised")

    def at_end(self) -> bool:
        """True when the server sent no more and closed."""
        return self.rest() == b""


def encode(
    method: str, target: str, *fields: tuple[str, str], body: bytes = b"", version: str = "1.1"
) -> bytes:
    """A request as bytes; Host and Content-Length are added when the caller gave none."""
    lines = list(fields)
    names = {name.lower() for name, _ in lines}
    if "host" not in names:
        lines.insert(0, ("Host", "test"))
    if body and not names & {"content-length", "transfer-encoding"}:
        lines.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/{version}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
    return head.encode("latin-1") + b"\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def fetch(
    address: Address,
    target: str = "/",
    *fields: tuple[str, str],
    method: str = "GET",
    body: bytes = b"",
    version: str = "1.1",
    timeout: float = DEADLINE,
) -> Response:
    """One request on a connection of its own."""
    with Connection(address, timeout) as connection:
        connection.send(encode(method, target, *fields, body=body, version=version))
        return connection.response(method)


def exchange(address: Address, request: bytes) -> Response:
    """The response to these very bytes."""
    with Connection(address) as connection:
        connection.send(request)
        return connection.response()
