"""Requests that break HTTP: the status each gets, the shape of the answer, and what the log says."""

import pytest
from client import Connection, encode, exchange, fetch
from server import Running

LONG = "a" * 9000
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"

REFUSED = {
    400: {
        "no-version": b"GET /\r\n\r\n",
        "four-parts": b"GET / x HTTP/1.1\r\n\r\n",
        "empty-target": b"GET  HTTP/1.1\r\n\r\n",
        "lower-case-method": b"get / HTTP/1.1\r\n\r\n",
        "method-not-a-token": b"GE[T / HTTP/1.1\r\n\r\n",
        "version-0.9": b"GET / HTTP/0.9\r\n\r\n",
        "version-2.0": b"GET / HTTP/2.0\r\n\r\n",
        "version-lower-case": b"GET / http/1.1\r\n\r\n",
        "version-garbled": b"GET / HTTP/1.1x\r\n\r\n",
        "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "8-bit-target": b"GET /caf\xe9 HTTP/1.1\r\n\r\n",
        "control-in-target": b"GET /\x01 HTTP/1.1\r\n\r\n",
        "relative-target": b"GET path HTTP/1.1\r\n\r\n",
        "star-without-options": b"GET * HTTP/1.1\r\n\r\n",
        "bare-lf": b"GET / HTTP/1.1\nHost: x\n\n",
        "no-colon": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        "empty-name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        "space-before-colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "name-not-a-token": b"GET / HTTP/1.1\r\nHo@st: x\r\n\r\n",
        "folded": b"GET / HTTP/1.1\r\nX-A: a\r\n b\r\n\r\n",
        "leading-space": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        "nul-in-value": b"GET / HTTP/1.1\r\nX-A: a\0b\r\n\r\n",
        "cr-in-value": b"GET / HTTP/1.1\r\nX-A: a\rb\r\n\r\n",
        "two-hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "two-lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "signed-length": b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
        "empty-length": b"POST / HTTP/1.1\r\nContent-Length: \r\n\r\na",
        "length-list": b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na",
        "hex-length": b"POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\na",
        "length-and-coding": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        "coding-on-1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "chunked-twice": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "chunked-not-last": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "identity": b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "two-crlf-first": b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    },
    414: {"long-line": f"GET /{LONG} HTTP/1.1\r\n\r\n".encode()},
    431: {
        "long-field": f"GET / HTTP/1.1\r\nX-A: {LONG}\r\n\r\n".encode(),
        "many-fields": b"GET / HTTP/1.1\r\n" + b"X-A: a\r\n" * 101 + b"\r\n",
    },
    417: {"expectation": b"GET / HTTP/1.1\r\nExpect: x\r\n\r\n"},
}
CASES = [
    pytest.param(data, status, id=name) for status, group in REFUSED.items() for name, data in group.items()
]
REASONS = {
    400: "Bad Request",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
}


@pytest.mark.parametrize(("data", "status"), CASES)
def test_refused(shared: Running, data: bytes, status: int) -> None:
    with Connection(shared.address) as connection:
        connection.send(data)
        response = connection.response()
        assert response.status == status
        assert response.reason == REASONS[status]
        assert [name for name, _ in response.fields] == ["Connection", "Content-Type", "Content-Length"]
        assert (response.value("Connection"), response.value("Content-Type")) == ("close", "text/html")
        assert f"<h1><p>{REASONS[status]}</p></h1>".encode() in response.body
        assert connection.at_end()


def test_a_refusal_is_logged(shared: Running) -> None:
    exchange(shared.address, b"GET logged HTTP/1.1\r\n\r\n")
    log = shared.wait_log("Invalid request from ip=127.0.0.1: ")
    assert "[WARNING] Invalid request from ip=127.0.0.1: " in log


def test_a_refusal_escapes_what_it_quotes(shared: Running) -> None:
    assert b"<script>" not in exchange(shared.address, b"GET <script> HTTP/1.1\r\n\r\n").body


ACCEPTED = {
    "no-host": b"GET /hello/app HTTP/1.1\r\n\r\n",
    "crlf-first": b"\r\nGET /hello/app HTTP/1.1\r\n\r\n",
    "tab-in-value": b"GET /hello/app HTTP/1.1\r\nX-A: a\tb\r\n\r\n",
    "100-fields": b"GET /hello/app HTTP/1.1\r\n" + b"X-A: a\r\n" * 100 + b"\r\n",
    "absolute-form": b"GET http://test/hello/app HTTP/1.1\r\nHost: test\r\n\r\n",
    "no-space-after-colon": b"GET /hello/app HTTP/1.1\r\nHost:test\r\n\r\n",
    "version-1.0": b"GET /hello/app HTTP/1.0\r\n\r\n",
    "length-zero": b"POST /hello/app HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(shared: Running, name: str) -> None:
    response = exchange(shared.address, ACCEPTED[name])
    assert (response.status, response.body) == (200, b"hello\n")


@pytest.mark.parametrize("name", ["no-host", "100-fields"])
def test_split_at_every_byte(shared: Running, name: str) -> None:
    """The head may come in any pieces."""
    with Connection(shared.address) as connection:
        for byte in ACCEPTED[name]:
            connection.send(bytes([byte]))
        assert connection.response().body == b"hello\n"


@pytest.mark.parametrize("data", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_leaves(shared: Running, data: bytes) -> None:
    with Connection(shared.address) as connection:
        connection.send(data)
        connection.socket.shutdown(1)
        connection.rest()
    assert fetch(shared.address, "/hello/app").status == 200


@pytest.mark.parametrize(
    ("arguments", "request_data", "status"),
    [
        (["--limit-request-line", "20"], encode("GET", "/" + "a" * 20), 414),
        (["--limit-request-line", "20"], encode("GET", "/a"), 200),
        (["--limit-request-fields", "2"], encode("GET", "/", ("A", "1"), ("B", "2")), 431),
        (["--limit-request-fields", "2"], encode("GET", "/", ("A", "1")), 200),
        (["--limit-request-field_size", "50"], encode("GET", "/", ("A", "x" * 50)), 431),
        (["--limit-request-field_size", "50"], encode("GET", "/", ("A", "x" * 40)), 200),
    ],
)
def test_limits(serve, arguments: list[str], request_data: bytes, status: int) -> None:
    assert exchange(serve(*arguments).address, request_data).status == status
