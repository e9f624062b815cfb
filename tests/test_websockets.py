"""WebSockets of the asgi worker class, by a client of another project and by frames of our own."""

import contextlib
import json
import signal
import socket
import struct
import threading

import pytest
from client import Connection, encode, fetch
from server import Running, eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

ASGI = ("-k", "asgi")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def shared(module_serve, request: pytest.FixtureRequest) -> Running:
    return module_serve(*ASGI, "--asgi-loop", request.param, app="asgi_cases:app")


@pytest.fixture
def asgi(serve):
    return lambda *arguments, **options: serve(*ASGI, *arguments, app="asgi_cases:app", **options)


def opened(server: Running, path: str = "/ws_echo", **options: object) -> ClientConnection:
    host, port = server.address
    return connect(f"ws://{host}:{port}{path}", **({"compression": None, "max_size": None} | options))


def journal(server: Running) -> list[str]:
    return json.loads(fetch(server.address, "/journal").body)


def closed(client: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=10)
    frame = caught.value.rcvd
    return (frame.code, frame.reason) if frame else (1006, "")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 3_000_000])
def test_messages_come_back(shared: Running, size: int) -> None:
    with opened(shared) as client:
        for message in ("\xe9" * size, b"\xff" * size):
            client.send(message)
            assert client.recv(timeout=10) == message


def test_a_message_in_fragments(shared: Running) -> None:
    with opened(shared) as client:
        client.send(["one, ", "two, ", "three"])
        assert client.recv(timeout=10) == "one, two, three"


def test_many_messages_at_once(shared: Running) -> None:
    with opened(shared) as client:
        for number in range(500):
            client.send(str(number))
        assert [client.recv(timeout=10) for _ in range(500)] == [str(number) for number in range(500)]


def test_a_ping_is_answered(shared: Running) -> None:
    with opened(shared) as client:
        assert client.ping(b"are you there").wait(10)


def test_subprotocol_and_headers(shared: Running) -> None:
    with opened(shared, subprotocols=["one", "two"]) as client:
        assert client.subprotocol == "two"
        assert client.response.headers["X-Own"] == "1"


def test_compression_is_declined(shared: Running) -> None:
    with opened(shared, compression="deflate") as client:
        client.send("plain")
        assert client.recv(timeout=10) == "plain"
        assert "Sec-WebSocket-Extensions" not in client.response.headers


def test_the_scope(shared: Running) -> None:
    with opened(shared, "/ws_scope/caf%C3%A9", subprotocols=["a", "b"]) as client:
        scope = json.loads(client.recv(timeout=10))
    keys = scope.pop("keys")
    assert scope == {
        "type": "websocket",
        "scheme": "ws",
        "path": "/ws_scope/caf\xe9",
        "subprotocols": ["a", "b"],
        "http_version": "1.1",
        "state": {"began": True},
    }
    assert "method" not in keys and {"client", "server", "headers", "raw_path", "extensions"} <= set(keys)


@pytest.mark.parametrize("code", [1000, 1001, 3999, 4999])
def test_the_client_closes(shared: Running, code: int) -> None:
    journal(shared)
    with opened(shared) as client:
        client.close(code, "bye")
        assert client.close_code == code
    eventually(lambda: f"disconnect {code} bye" in journal(shared), "the application is told")


def test_the_client_is_gone(shared: Running) -> None:
    with opened(shared) as client:
        client.socket.shutdown(socket.SHUT_RDWR)
        eventually(lambda: "disconnect 1006 " in journal(shared), "the application is told")


@pytest.mark.parametrize(
    ("word", "end"), [("close", (4001, "as asked")), ("raise", (1011, "")), ("return", (1000, ""))]
)
def test_the_application_closes(shared: Running, word: str, end: tuple[int, str]) -> None:
    with opened(shared) as client:
        client.send(word)
        assert closed(client) == end


@pytest.mark.parametrize(
    ("path", "status"), [("/ws_refuse", 403), ("/ws_deny", 418), ("/ws_raise", 500), ("/ws_return", 500)]
)
def test_it_is_not_accepted(shared: Running, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        opened(shared, path)
    response = caught.value.response
    assert response.status_code == status
    if status == 418:
        assert response.headers["X-Why"] == "closed today" and response.body == b"no tea"


@pytest.mark.parametrize("path", ["/ws_refuse", "/ws_deny"])
def test_a_refused_one_is_told_of_its_end(shared: Running, path: str) -> None:
    journal(shared)
    with pytest.raises(InvalidStatus):
        opened(shared, path)
    told = eventually(lambda: journal(shared), "the application is told")
    assert [line.strip() for line in told] == ["websocket.disconnect"]


def test_a_refused_one_is_told_of_its_end_after_the_next_request(shared: Running) -> None:
    journal(shared)
    with Connection(shared.address) as client:
        client.send(handshake("/ws_deny?late"))
        assert client.response().status == 418
        client.send(handshake("/ws_deny"))
        assert client.response().status == 418
        client.send(encode("POST", "/release"))
        assert client.response().status == 200
    told = eventually(lambda: [line for line in journal(shared) if "late" in line], "the application is told")
    assert told == ["late websocket.disconnect"]


def test_messages_out_of_order_raise(shared: Running) -> None:
    with opened(shared, "/ws_wrong") as client:
        assert json.loads(client.recv(timeout=10)) == [
            *("RuntimeError", "nothing", "RuntimeError", "KeyError", "TypeError", "ValueError")
        ]


def handshake(path: str = "/ws_echo", version: str = "13", key: str = KEY) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        f"Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


def frame(first: int, payload: bytes = b"", masked: bool = True) -> bytes:
    length = struct.pack("!B", len(payload) | (128 if masked else 0))
    return bytes([first]) + length + (b"\0\0\0\0" if masked else b"") + payload


def test_the_handshake(shared: Running) -> None:
    with Connection(shared.address) as client:
        # What follows the head in the same segment is heard.
        client.send(handshake() + frame(0x81, b"early"))
        response = client.head()
        assert (response.status, response.value("Connection").lower()) == (101, "upgrade")
        assert response.value("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert response.value("Upgrade") == "websocket" and response.value("Content-Length") is None
        assert client.exactly(7) == b"\x81\x05early"


def test_another_version_is_told_which(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(handshake(version="8"))
        response = client.response()
        assert (response.status, response.value("Sec-WebSocket-Version")) == (426, "13")


def test_a_key_that_is_none_is_refused(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(handshake(key="short"))
        assert client.response().status == 400


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        (1002, frame(0x81, b"unmasked", masked=False)),
        (1002, frame(0x83)),
        (1002, frame(0xC1)),
        (1002, frame(0x80)),
        (1002, frame(0x01, b"a") + frame(0x01, b"b")),
        (1002, frame(0x09)),
        (1002, frame(0x88, b"\x03")),
        (1002, frame(0x88, struct.pack("!H", 1005))),
        (1007, frame(0x81, b"\xed\xa0\x80")),
        (1007, frame(0x01, b"\xce") + frame(0x80, b"\x00")),
    ],
)
def test_what_a_client_may_not_send(shared: Running, code: int, bad: bytes) -> None:
    with Connection(shared.address) as client:
        client.send(handshake())
        assert client.head().status == 101
        client.send(bad)
        first, length = client.exactly(2)
        assert (first, struct.unpack("!H", client.exactly(length)[:2])[0]) == (0x88, code)
        assert client.rest() == b""


def test_a_message_that_is_too_long(asgi) -> None:
    server = asgi("--websocket-max-message-size", "1000")
    with opened(server) as client:
        client.send("x" * 1000)
        assert len(client.recv(timeout=10)) == 1000
        with contextlib.suppress(ConnectionClosed):
            client.send(["x" * 600, "y" * 600])
        assert closed(client)[0] == 1009


def test_a_client_that_does_not_read_is_waited_for(asgi) -> None:
    server = asgi("--response-buffer", "64K")
    with opened(server, "/ws_flood?200") as client:
        assert fetch(server.address).status == 200
        assert sum(len(client.recv(timeout=10)) for _ in range(200)) == 200 * 65536


def pour(client: Connection, data: bytes) -> int:
    """Sends until nothing is taken for a second. How much was."""
    view = memoryview(data)
    client.socket.settimeout(1)
    while view:
        try:
            view = view[client.socket.send(view[:65536]) :]
        except TimeoutError:
            break
    return len(data) - len(view)


@pytest.mark.parametrize(("path", "unit"), [("/ws_echo", frame(0x89, b"x" * 125)), ("/ws_deaf", frame(0x81))])
def test_what_nobody_takes_is_not_read(asgi, path: str, unit: bytes) -> None:
    """Neither pings whose pongs the client leaves, nor empty messages that the application leaves."""
    server = asgi("--graceful-timeout", "1")
    data = unit * (30_000_000 // len(unit))
    with Connection(server.address) as client:
        client.send(handshake(path))
        assert client.head().status == 101
        assert pour(client, data) < len(data)
        assert fetch(server.address).status == 200


def test_who_reads_its_pongs_late_gets_them_all(shared: Running) -> None:
    data = frame(0x89, b"x" * 125) * 200_000
    with Connection(shared.address) as client:
        client.send(handshake())
        assert client.head().status == 101
        sent = pour(client, data)
        assert sent < len(data)
        client.socket.settimeout(20)
        rest = threading.Thread(target=client.send, args=(data[sent:],))
        rest.start()
        for _ in range(200):
            assert client.exactly(127 * 1000) == (b"\x8a\x7d" + b"x" * 125) * 1000
        rest.join()


def test_a_client_that_does_not_answer_a_ping_is_given_up(asgi) -> None:
    server = asgi("--ws-ping-interval", "1", "--ws-ping-timeout", "1", "--log-level", "debug")
    with Connection(server.address) as client:
        client.send(handshake())
        assert client.head().status == 101
        assert client.exactly(2) == b"\x89\x00"
        assert client.rest().endswith(b"\x03\xf3no answer to a ping")
        eventually(lambda: "disconnect 1006 " in journal(server), "the application is told")
    server.wait_log("does not answer the pings")


def test_a_client_that_answers_pings_stays(asgi) -> None:
    server = asgi("--ws-ping-interval", "1", "--ws-ping-timeout", "1")
    with Connection(server.address) as client:
        client.send(handshake())
        assert client.head().status == 101
        for _ in range(3):
            assert client.exactly(2) == b"\x89\x00"
            client.send(frame(0x8A))
        client.send(frame(0x82, b"x"))
        while (start := client.exactly(2)) == b"\x89\x00":
            pass
        assert start + client.exactly(1) == b"\x82\x01x"


def test_a_stop_says_so(asgi) -> None:
    server = asgi("--graceful-timeout", "20")
    with opened(server) as client:
        client.send("x")
        assert client.recv(timeout=10) == "x"
        server.send(signal.SIGTERM)
        assert closed(client)[0] == 1012
    assert server.wait_exit() == 0
    assert "lifespan shutdown" in server.stderr


def test_it_is_in_the_access_log(asgi) -> None:
    server = asgi("--access-logfile", "-", "--access-logformat", "%(m)s %(U)s %(s)s")
    with opened(server) as client:
        client.send("x")
        client.recv(timeout=10)
    eventually(lambda: "GET /ws_echo 101\n" in server.stdout, "the line")
