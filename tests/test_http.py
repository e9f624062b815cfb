"""Requests of which gunicorn knows nothing: a limit for bodies, the Forwarded header, HTTP/2 without TLS.

What the protocol itself makes of them is in corpus/*.http. Read next: test_corpus.py.
"""

import json

import pytest
from client import Connection, Response, chunked, encode, exchange, fetch
from server import Running, eventually

LIMIT = 3_000_000
CHUNKED = ("Transfer-Encoding", "chunked")


@pytest.fixture(scope="module")
def limited(module_serve) -> Running:
    return module_serve("--limit-request-body", str(LIMIT), app="cases:app")


def journal(server: Running) -> list[str]:
    return json.loads(fetch(server.address, "/journal").body)


def assert_refused(response: Response) -> None:
    assert (response.status, response.reason) == (413, "Content Too Large")
    assert response.value("Connection") == "close"
    assert f"Request body is too large (&gt; {LIMIT})".encode() in response.body


@pytest.mark.parametrize("size", [0, 5, LIMIT])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bodies_up_to_the_limit(limited: Running, framing: str, size: int) -> None:
    body = b"x" * size
    request = encode("POST", "/bodies/echo", body=body)
    if framing == "chunked":
        blocks = [body] if body else []
        request = encode("POST", "/bodies/echo", CHUNKED, body=chunked(*blocks))
    assert len(exchange(limited.address, request).body) == size


def test_a_large_body_never_reaches_the_application(limited: Running) -> None:
    journal(limited)
    fields = (("Content-Length", str(LIMIT + 1)), ("Expect", "100-continue"))
    with Connection(limited.address) as connection:
        connection.send(encode("POST", "/misuse/reads_in_vain", *fields))
        response = connection.response()
        assert connection.at_end()
    assert_refused(response)
    assert response.interim == []
    assert journal(limited) == []
    limited.wait_log("[WARNING] Invalid request from ip=127.0.0.1: Request body is too large")


def test_a_chunked_body_is_refused_where_it_passes_the_limit(limited: Running) -> None:
    """What is received ahead is less than the limit: the application is called and reads."""
    journal(limited)
    body = chunked(*[b"x" * 500_000] * 7)
    assert_refused(exchange(limited.address, encode("POST", "/misuse/reads_in_vain", CHUNKED, body=body)))
    assert journal(limited) == ["called", f"OSError: Request body is too large (> {LIMIT})"]


def test_the_limit_may_have_a_unit(serve) -> None:
    server = serve("--limit-request-body", "1K", app="cases:app")
    assert fetch(server.address, "/bodies/echo", method="POST", body=b"x" * 1024).status == 200
    assert fetch(server.address, "/bodies/echo", method="POST", body=b"x" * 1025).status == 413


def test_forwarded(serve) -> None:
    server = serve("--trust-forwarded-header", "--access-logfile", "{home}/access", app="cases:app")
    field = ("Forwarded", 'for="[2001:db8::1]:4711";proto=https;host=www.example')
    environ = json.loads(fetch(server.address, "/bodies/describe", field).body)
    keys = ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "HTTP_HOST", "HTTP_FORWARDED")
    assert [environ[key] for key in keys] == ["2001:db8::1", "4711", "https", "www.example", field[1]]
    line = eventually((server.home / "access").read_text, "a line in the access log")
    assert line.startswith("2001:db8::1 - - ")


def test_forwarded_without_a_port(serve) -> None:
    server = serve("--trust-forwarded-header", app="cases:app")
    environ = json.loads(fetch(server.address, "/bodies/describe", ("Forwarded", "for=192.0.2.1")).body)
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert "REMOTE_PORT" not in environ


def test_forwarded_on_a_unix_socket(serve) -> None:
    server = serve("--trust-forwarded-header", app="cases:app", bind="unix")
    field = ("Forwarded", "for=192.0.2.1;proto=https;host=www.example")
    environ = json.loads(fetch(server.address, "/bodies/describe", field).body)
    keys = ("REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme")
    assert [environ[key] for key in keys] == ["192.0.2.1", "www.example", "443", "https"]


def test_an_http2_client_is_told_so_in_the_log(limited: Running) -> None:
    assert exchange(limited.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status == 400
    limited.wait_log("Invalid request from ip=127.0.0.1: HTTP/2 is not spoken on this address, only HTTP/1.1")
