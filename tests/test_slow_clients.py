"""Slow and silent clients: none of them may delay the next one, though the worker has one thread."""

import hashlib
import json
import os
import resource
import signal
import time
from contextlib import ExitStack, contextmanager

import pytest
from client import Connection, chunked, encode, fetch
from server import Running

HALF_HEAD = b"GET /hello/app HTTP/1.1\r\nHost: t"
HALF_BODY = encode("POST", "/bodies/echo", ("Content-Length", "1000"), body=b"x" * 500)
HALF_CHUNKS = encode("POST", "/bodies/echo", ("Transfer-Encoding", "chunked"), body=b"5\r\nhel")


@contextmanager
def waiting_clients(server: Running, data: bytes, count: int = 20):
    """Clients that sent `data` and then wait."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Connection(server.address)) for _ in range(count)]
        for client in clients:
            client.send(data)
        yield clients


@pytest.mark.parametrize("data", [b"", b"G", HALF_HEAD, HALF_BODY, HALF_CHUNKS], ids=len)
def test_they_do_not_delay_the_next(shared: Running, data: bytes) -> None:
    with waiting_clients(shared, data):
        start = time.monotonic()
        for _ in range(5):
            assert fetch(shared.address, "/hello/app").body == b"hello\n"
        assert time.monotonic() - start < 1


def test_they_are_served_once_they_go_on(shared: Running) -> None:
    with waiting_clients(shared, HALF_HEAD) as clients:
        for client in reversed(clients):
            client.send(b"est\r\n\r\n")
            assert client.response().body == b"hello\n"
    with waiting_clients(shared, HALF_BODY, 5) as clients:
        for client in reversed(clients):
            client.send(b"y" * 500)
            assert client.response().body == b"x" * 500 + b"y" * 500


def test_they_do_not_trip_the_timeout(serve) -> None:
    server = serve("--timeout", "1")
    (worker,) = server.wait_workers(1)
    with waiting_clients(server, HALF_HEAD, 3):
        time.sleep(2.5)  # the thing under test is that nothing happens
        assert server.workers() == [worker]
    assert "WORKER TIMEOUT" not in server.stderr


def test_they_do_not_hold_up_a_stop(serve) -> None:
    server = serve(app="cases:app")
    with waiting_clients(server, HALF_HEAD, 5):
        assert fetch(server.address, "/hello/app").status == 200
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 5


def test_a_client_that_keeps_its_side_open_delays_nobody(shared: Running) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Connection(shared.address)) for _ in range(10)]
        start = time.monotonic()
        for client in clients:
            client.send(encode("GET", "/hello/app"))
            assert client.response().body == b"hello\n"
        assert time.monotonic() - start < 1


def test_a_slow_reader_delays_nobody(shared: Running) -> None:
    size = 3_000_000
    with ExitStack() as stack:
        readers = [stack.enter_context(Connection(shared.address)) for _ in range(3)]
        for reader in readers:
            reader.send(encode("GET", f"/iterables/large?{size}"))
            assert reader.head().status == 200
        start = time.monotonic()
        assert fetch(shared.address, "/hello/app").body == b"hello\n"
        assert time.monotonic() - start < 1
        assert all(reader.exactly(size) == b"x" * size for reader in readers)


def test_a_slow_reader_of_a_file_delays_nobody(serve, tmp_path) -> None:
    (tmp_path / "filing.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '20000000')])\n"
        "    return environ['wsgi.file_wrapper'](open(environ['PATH_INFO'][1:], 'rb'))\n"
    )
    (tmp_path / "big").write_bytes(bytes(20_000_000))
    (tmp_path / "small").write_bytes(bytes(range(100)) * 200_000)
    server = serve(app="filing:app", cwd=tmp_path)
    with Connection(server.address) as reader:
        reader.send(encode("GET", "/big"))
        assert reader.head().status == 200
        start = time.monotonic()
        assert len(fetch(server.address, "/small").body) == 20_000_000
        assert time.monotonic() - start < 5
        assert reader.exactly(20_000_000) == bytes(20_000_000)


def test_readers_that_leave_are_forgotten(serve) -> None:
    server = serve(app="cases:app")
    (worker,) = server.wait_workers(1)
    fetch(server.address, "/hello/app")
    before = len(os.listdir(f"/proc/{worker}/fd"))
    with waiting_clients(server, encode("GET", "/iterables/large?5000000"), 10):
        pass
    with waiting_clients(server, HALF_BODY, 10):
        pass
    deadline = time.monotonic() + 10
    while len(os.listdir(f"/proc/{worker}/fd")) > before:
        assert time.monotonic() < deadline, "descriptors are left"
        time.sleep(0.02)
    assert server.workers() == [worker]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_upload_is_streamed(serve, framing: str) -> None:
    """The worker must not hold a body that the application reads block by block."""
    server = serve(app="cases:app")
    block = os.urandom(1 << 20)
    blocks = 100
    fields = (
        [("Content-Length", str(blocks << 20))] if framing == "length" else [("Transfer-Encoding", "chunked")]
    )
    with Connection(server.address, timeout=30) as connection:
        connection.send(encode("POST", "/bodies/digest", *fields))
        for _ in range(blocks):
            connection.send(block if framing == "length" else b"%x\r\n%s\r\n" % (len(block), block))
        connection.send(b"" if framing == "length" else chunked())
        told = json.loads(connection.response().body)
    assert told["length"] == blocks << 20
    assert told["sha256"] == hashlib.sha256(block * blocks).hexdigest()
    assert told["peak"] < 80_000


def test_100_continue_comes_when_the_body_is_wanted(shared: Running) -> None:
    request = encode("POST", "/bodies/echo", ("Content-Length", "4"), ("Expect", "100-continue"))
    with waiting_clients(shared, request, 10) as clients:
        assert fetch(shared.address, "/hello/app").status == 200
        for client in clients:
            assert client.head().status == 100
            client.send(b"body")
            assert client.response().body == b"body"


def test_they_give_way_when_descriptors_run_out(serve) -> None:
    server = serve(app="cases:app")
    (worker,) = server.wait_workers(1)
    assert fetch(server.address, "/hello/app").status == 200
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (40, 40))
    with waiting_clients(server, HALF_HEAD, 60):
        assert fetch(server.address, "/hello/app").status == 200
        server.wait_log("Cannot accept connections")
    assert server.workers() == [worker]


def interrupt(worker: int) -> None:
    """Signals that the worker survives, each while it waits for a client."""
    for _ in range(20):
        os.kill(worker, signal.SIGUSR1)
        time.sleep(0.01)  # one at a time: equal pending signals become one


def test_signals_do_not_cut_an_upload_that_is_streamed(serve) -> None:
    server = serve(app="cases:app")
    (worker,) = server.wait_workers(1)
    size = 4 << 20
    request = encode("POST", "/bodies/streamed", ("Content-Length", str(size)), body=b"x" * size)
    with Connection(server.address) as client:
        client.send(request[: size // 2])
        server.wait_log("reading")
        interrupt(worker)
        server.send(signal.SIGTERM)
        server.wait_log("Handling signal: term")
        client.send(request[size // 2 :])
        assert client.response().body == str(size).encode()
    assert server.wait_exit() == 0


def test_signals_do_not_cut_a_download_that_waits(serve) -> None:
    server = serve(app="cases:app")
    (worker,) = server.wait_workers(1)
    with Connection(server.address) as client:
        client.send(encode("GET", "/bodies/endless_blocks"))
        server.wait_log("writing")
        interrupt(worker)
        assert len(client.response().body) == 512 * 65536
