"""wsgi.input and wsgi.errors: every way to read, both framings of a request body, Expect."""

import json

import pytest
from client import Connection, Response, chunked, encode, exchange, fetch
from server import Running

BODY = b"one\ntwo\r\nlong third line\n\nno end"
LINES = ["one\n", "two\r\n", "long third line\n", "\n", "no end"]
CHUNKED = ("Transfer-Encoding", "chunked")
EXPECT = ("Expect", "100-continue")


def split(data: bytes, size: int) -> list[str]:
    return [data[at : at + size].decode() for at in range(0, len(data), size)]


WAYS = {
    "read": [BODY.decode()],
    "read_none": [BODY.decode()],
    "read_negative": [BODY.decode()],
    "read_zero": ["", BODY.decode()],
    "read_sized": split(BODY, 4),
    "read_past_end": [BODY.decode(), "", ""],
    "readline": LINES,
    "readline_sized": [part for line in LINES for part in split(line.encode(), 3)],
    "readlines": LINES,
    "iterated": LINES,
    "mixed": ["one\n", "tw", "o\r\n", "long third line\n\nno end"],
    "unread": "unread",
}


def framed(framing: str, target: str, body: bytes) -> bytes:
    if framing == "length":
        return encode("POST", target, body=body)
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)]
    return encode("POST", target, CHUNKED, body=chunked(*pieces))


def post(server: Running, framing: str, name: str, body: bytes) -> Response:
    return exchange(server.address, framed(framing, f"/bodies/{name}", body))


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", WAYS)
def test_read(shared: Running, framing: str, name: str) -> None:
    assert json.loads(post(shared, framing, name, BODY).body) == WAYS[name]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", sorted(set(WAYS) - {"unread"}))
def test_read_of_nothing(shared: Running, framing: str, name: str) -> None:
    expected = {"read_zero": ["", ""], "read_past_end": ["", "", ""], "mixed": ["", "", "", ""]}
    whole = [""] if name in ("read", "read_none", "read_negative") else []
    assert json.loads(post(shared, framing, name, b"").body) == expected.get(name, whole)


def test_readlines_may_stop_at_its_hint(shared: Running) -> None:
    """PEP 3333 lets a server ignore the hint; either way whole lines come from the start."""
    lines = json.loads(post(shared, "length", "readlines_hint", BODY).body)
    assert lines
    assert lines == LINES[: len(lines)]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [1, 1000, 100_000, 3_000_000])
def test_echo(shared: Running, framing: str, size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    request = (
        encode("POST", "/bodies/echo", body=body)
        if framing == "length"
        else encode("POST", "/bodies/echo", CHUNKED, body=chunked(body))
    )
    assert exchange(shared.address, request).body == body


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_comes_byte_by_byte(shared: Running, framing: str) -> None:
    request = framed(framing, "/bodies/echo", b"slowly")
    with Connection(shared.address) as connection:
        for byte in request:
            connection.send(bytes([byte]))
        assert connection.response().body == b"slowly"


def test_chunk_extensions_and_trailers(shared: Running) -> None:
    body = b'4;name=value\r\nwith\r\n5;q="a b"\r\n both\r\n0\r\nX-Trailer: 1\r\n\r\n'
    assert exchange(shared.address, encode("POST", "/bodies/echo", CHUNKED, body=body)).body == b"with both"


def test_a_body_on_get_is_readable(shared: Running) -> None:
    assert exchange(shared.address, encode("GET", "/bodies/echo", body=b"on GET")).body == b"on GET"


def test_nothing_after_the_body_is_read(shared: Running) -> None:
    request = encode("POST", "/bodies/echo", body=b"body") + encode("GET", "/never")
    assert exchange(shared.address, request).body == b"body"


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nbody\r\n0\r\n\r\n",
        b"\r\nbody\r\n0\r\n\r\n",
        b"-4\r\nbody\r\n0\r\n\r\n",
        b"0x4\r\nbody\r\n0\r\n\r\n",
        b"4\r\nbody0\r\n\r\n",
        b"4\r\nbodyXX0\r\n\r\n",
        b"4 \r\nbody\r\n0\r\n\r\n",
    ],
)
def test_malformed_chunks(shared: Running, body: bytes) -> None:
    assert exchange(shared.address, encode("POST", "/bodies/echo", CHUNKED, body=body)).status == 400


@pytest.mark.better(
    "An upload that was cut off is an error for the application; under gunicorn it looks complete."
)
def test_truncated_upload(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("POST", "/bodies/error", ("Content-Length", "100"), body=b"only this"))
        connection.socket.shutdown(1)
        assert b"9" not in connection.rest().rpartition(b"\r\n\r\n")[2]


def test_100_continue(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("POST", "/bodies/echo", ("Content-Length", "4"), EXPECT))
        assert connection.head().status == 100
        connection.send(b"body")
        response = connection.response()
        assert (response.status, response.body) == (200, b"body")


def test_100_continue_is_for_1_1(shared: Running) -> None:
    request = encode("POST", "/bodies/echo", ("Content-Length", "4"), EXPECT, body=b"body", version="1.0")
    response = exchange(shared.address, request)
    assert (response.interim, response.body) == ([], b"body")


def test_100_continue_with_a_body_at_hand(shared: Running) -> None:
    response = exchange(shared.address, encode("POST", "/bodies/echo", EXPECT, body=b"body"))
    assert (response.status, response.body) == (200, b"body")


def test_other_expectations_fail(shared: Running) -> None:
    response = exchange(shared.address, encode("POST", "/bodies/echo", ("Expect", "miracles"), body=b"body"))
    assert response.status == 417


@pytest.mark.parametrize("name", ["validated", "validated_write", "validated_generator"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_validated(shared: Running, name: str, framing: str) -> None:
    response = post(shared, framing, name, b"some lines\nof body\n")
    assert (response.status, response.body) == (200, b"valid"), shared.stderr


def test_validated_without_a_body(shared: Running) -> None:
    assert fetch(shared.address, "/bodies/validated_empty").status == 204
    assert fetch(shared.address, "/bodies/validated?a=b", method="DELETE").body == b"valid"


def test_errors_stream(shared: Running) -> None:
    assert fetch(shared.address, "/bodies/errors_stream").status == 200
    shared.wait_log("written to wsgi.errors\nline one\nline two\n")


def test_standard_error(shared: Running) -> None:
    assert fetch(shared.address, "/bodies/to_stderr").status == 200
    shared.wait_log("printed to stderr\n")


def test_errors_stream_goes_to_the_error_log(serve) -> None:
    server = serve("--error-logfile", "{home}/errors", app="cases:app")
    assert fetch(server.address, "/bodies/errors_stream").status == 200
    assert "written to wsgi.errors\nline one\nline two\n" in (server.home / "errors").read_text()
