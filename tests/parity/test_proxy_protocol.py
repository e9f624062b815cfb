"""The PROXY protocol: whom the application and the logs see. Its form, byte by byte, is in ../corpus."""

import json
import socket
import struct
from collections.abc import Callable

import pytest
from client import Connection, encode, exchange
from server import Running, eventually

V1 = b"PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"
TOLD = {
    "PROXY_PROTOCOL": "TCP4",
    "REMOTE_ADDR": "192.0.2.1",
    "REMOTE_PORT": "56324",
    "PROXY_ADDR": "198.51.100.9",
    "PROXY_PORT": "443",
}


def version_2(command: int, family: int, addresses: bytes, rest: bytes = b"") -> bytes:
    block = addresses + rest
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", 0x20 | command, family, len(block)) + block


def tcp4(rest: bytes = b"") -> bytes:
    packed = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.9") + struct.pack(">HH", 56324, 443)
    return version_2(1, 0x11, packed, rest)


def tcp6() -> bytes:
    packed = b"".join(socket.inet_pton(socket.AF_INET6, text) for text in ("2001:db8::1", "2001:db8::2"))
    return version_2(1, 0x21, packed + struct.pack(">HH", 56324, 443))


def environ(server: Running, header: bytes, *fields: tuple[str, str]) -> dict[str, str]:
    response = exchange(server.address, header + encode("GET", "/bodies/describe", *fields))
    assert response.status == 200
    return json.loads(response.body)


@pytest.fixture(scope="module")
def proxied(module_serve: Callable[..., Running]) -> Running:
    return module_serve("--proxy-protocol", "auto", "--access-logfile", "-", app="cases:app")


@pytest.mark.parametrize("header", [V1, tcp4(), tcp4(b"\x04\0\x03abc")], ids=["v1", "v2", "v2 with a TLV"])
def test_the_client_of_the_proxy_is_the_client(proxied: Running, header: bytes) -> None:
    described = environ(proxied, header)
    assert {key: described.get(key) for key in TOLD} == TOLD


@pytest.mark.parametrize("header", [V1_IPV6, tcp6()], ids=["v1", "v2"])
def test_ipv6(proxied: Running, header: bytes) -> None:
    described = environ(proxied, header)
    assert described["PROXY_PROTOCOL"] == "TCP6"
    assert (described["REMOTE_ADDR"], described["PROXY_ADDR"]) == ("2001:db8::1", "2001:db8::2")


def test_it_is_in_the_access_log(proxied: Running) -> None:
    assert exchange(proxied.address, V1 + encode("GET", "/hello/app?logged")).status == 200
    lines = eventually(
        lambda: [line for line in proxied.stdout.splitlines() if "?logged" in line], "the line"
    )
    assert lines[0].startswith("192.0.2.1 - - [")


def test_a_connection_without_a_header_is_what_it_is(proxied: Running) -> None:
    described = environ(proxied, b"")
    assert described["REMOTE_ADDR"] == "127.0.0.1"
    assert "PROXY_PROTOCOL" not in described


def test_a_header_that_comes_in_pieces(proxied: Running) -> None:
    with Connection(proxied.address) as connection:
        for byte in V1:
            connection.send(bytes([byte]))
        connection.send(encode("GET", "/bodies/describe"))
        assert json.loads(connection.response().body)["REMOTE_ADDR"] == "192.0.2.1"


@pytest.mark.parametrize(
    "header",
    [b"PROXY TCP4 192.0.2.1 198.51.100.9 70000 443\r\n", b"PROXY garbage of some length\r\n"],
    ids=["a port that is none", "garbage"],
)
def test_a_broken_line_is_refused(proxied: Running, header: bytes) -> None:
    response = exchange(proxied.address, header + encode("GET", "/hello/app"))
    assert response.status == 400
    assert response.value("Connection") == "close"
    assert b"Invalid PROXY line" in response.body
    proxied.wait_log("Invalid request from ip=127.0.0.1: Invalid PROXY line")


@pytest.mark.better("A broken header of the PROXY protocol, version 2, is answered with 400, not 500.")
def test_a_broken_binary_header_is_refused(proxied: Running) -> None:
    header = version_2(1, 0x12, bytes(12))
    assert exchange(proxied.address, header + encode("GET", "/hello/app")).status == 400
    proxied.wait_log("Invalid request from ip=127.0.0.1: Invalid PROXY header")


@pytest.mark.better("`PROXY UNKNOWN` is served with the address of the socket.")
def test_unknown_is_the_proxy_itself(proxied: Running) -> None:
    described = environ(proxied, b"PROXY UNKNOWN\r\n")
    assert (described["PROXY_PROTOCOL"], described["REMOTE_ADDR"]) == ("UNKNOWN", "127.0.0.1")


@pytest.mark.better("A health check of the proxy (LOCAL) has the proxy's address, not `None`.")
@pytest.mark.parametrize("header", [version_2(0, 0, b""), version_2(1, 1, b"")], ids=["LOCAL", "UNSPEC"])
def test_a_health_check_has_the_address_of_the_proxy(proxied: Running, header: bytes) -> None:
    described = environ(proxied, header)
    assert described["REMOTE_ADDR"] == "127.0.0.1"
    assert described["REMOTE_PORT"].isdecimal()
    assert "PROXY_ADDR" not in described


def test_only_some_peers_may_send_one(serve) -> None:
    server = serve("--proxy-protocol", "auto", "--proxy-allow-from", "10.0.0.1", app="cases:app")
    for header in (V1, tcp4()):
        response = exchange(server.address, header + encode("GET", "/hello/app"))
        assert (response.status, response.reason) == (403, "Forbidden")
        assert b"Request forbidden" in response.body
    server.wait_log("Invalid request from ip=127.0.0.1: Proxy request from '127.0.0.1' not allowed", count=2)
    assert environ(server, b"")["REMOTE_ADDR"] == "127.0.0.1"


@pytest.mark.parametrize(("mode", "header"), [("v1", tcp4()), ("v2", V1), ("off", V1)])
def test_a_version_that_is_not_due_is_garbage(serve, mode: str, header: bytes) -> None:
    server = serve("--proxy-protocol", mode, app="cases:app")
    assert exchange(server.address, header + encode("GET", "/hello/app")).status == 400


def test_forwarding_headers_are_believed_of_the_proxy(serve) -> None:
    """Whether they are is decided by who is at the other end of the socket, not by whom it speaks for."""
    forwarded = ("X-Forwarded-Proto", "https")
    server = serve("--proxy-protocol", "auto", app="cases:app")
    assert environ(server, V1, forwarded)["wsgi.url_scheme"] == "https"
    server = serve("--proxy-protocol", "auto", "--forwarded-allow-ips", "192.0.2.1", app="cases:app")
    assert environ(server, V1, forwarded)["wsgi.url_scheme"] == "http"


def test_any_peer_of_a_unix_socket_may_send_one(serve) -> None:
    server = serve("--proxy-protocol", "v1", app="cases:app", bind="unix")
    described = environ(server, V1)
    assert {key: described.get(key) for key in TOLD} == TOLD


@pytest.mark.better("Hooks see the client that the PROXY header tells of as `req.remote_addr`.")
def test_hooks_see_the_client(serve, tmp_path) -> None:
    config = tmp_path / "hooks.py"
    config.write_text(
        "def pre_request(worker, req):\n    worker.log.info('%s by %s', req.remote_addr, req.peer_addr[0])\n"
    )
    server = serve("--proxy-protocol", "v1", "-c", str(config), app="cases:app")
    assert exchange(server.address, V1 + encode("GET", "/hello/app")).status == 200
    assert "('192.0.2.1', 56324) by" in server.wait_log("by 127.0.0.1")


@pytest.mark.better("The client that a PROXY header tells of is that of every request of the connection.")
def test_it_holds_for_the_whole_connection(serve) -> None:
    server = serve("--proxy-protocol", "auto", "-k", "gthread", "--threads", "2", app="cases:app")
    with Connection(server.address) as connection:
        connection.send(V1)
        for _ in range(3):
            connection.send(encode("GET", "/bodies/describe"))
            described = json.loads(connection.response().body)
            assert {key: described.get(key) for key in TOLD} == TOLD
