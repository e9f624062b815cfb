"""Stops that wait for a load balancer, and stops that wait for nobody."""

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import Connection, encode, fetch
from server import Running


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def is_refused(server: Running) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(server.address) != 0


def test_it_serves_during_the_drain_delay(serve) -> None:
    server = serve("--drain-delay", "2", "-w", "2")
    workers = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    fetch(server.address)
    start = time.monotonic()
    server.send(signal.SIGTERM)
    server.wait_log("Handling signal: term")
    while time.monotonic() - start < 1.7:
        assert fetch(server.address).status == 200
        time.sleep(0.01)  # between two requests
    assert server.workers() == workers
    assert server.wait_exit() == 0
    assert time.monotonic() - start < 4
    assert is_refused(server)


def test_a_worker_that_dies_during_the_drain_delay_is_replaced(serve) -> None:
    server = serve("--drain-delay", "2", app="slow:exits")
    before = server.wait_workers(1)
    fetch(server.address)
    server.send(signal.SIGTERM)
    server.wait_log("Handling signal: term")
    with pytest.raises((AssertionError, OSError)):
        fetch(server.address, "/?9")
    server.wait_workers(1, unlike=before)
    assert fetch(server.address).status == 200
    assert server.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_cuts_the_drain_delay_short(serve, number: signal.Signals) -> None:
    server = serve("--drain-delay", "30")
    server.wait_workers(1)
    fetch(server.address)
    server.send(signal.SIGTERM)
    server.wait_log("Handling signal: term")
    assert fetch(server.address).status == 200
    start = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - start < 2


def test_the_second_int_is_immediate(serve, pool) -> None:
    server = serve(app="slow:stubborn")
    response = pool.submit(fetch, server.address, "/x?20", timeout=30)
    server.wait_log("started /x")
    server.send(signal.SIGINT)
    server.wait_log("Handling signal: int")
    time.sleep(0.3)  # the thing under test is that the first one gives the application time
    assert server.process.poll() is None
    start = time.monotonic()
    assert server.stop(signal.SIGINT) == 0
    assert time.monotonic() - start < 1
    assert response.exception() is not None


def test_a_client_that_sends_nothing_does_not_hold_up_a_stop(serve) -> None:
    server = serve()
    fetch(server.address)
    with Connection(server.address), Connection(server.address) as half:
        half.send(encode("GET", "/")[:20])
        fetch(server.address)
        start = time.monotonic()
        assert server.stop() == 0
        # Two seconds for the rest of the request, two for a client to read that it is too late.
        assert time.monotonic() - start < 5


def test_a_request_that_is_still_coming_is_answered(serve) -> None:
    server = serve()
    fetch(server.address)
    request = encode("GET", "/")
    with Connection(server.address) as half:
        half.send(request[:20])
        fetch(server.address)
        server.send(signal.SIGTERM)
        server.wait_log("Handling signal: term")
        half.send(request[20:])
        assert half.response().body == b"hello\n"
    assert server.wait_exit() == 0


@pytest.mark.parametrize(
    ("bind", "words"), [("unix", []), ("tcp", ["--reuse-port"])], ids=["unix", "reuse_port"]
)
def test_the_queue_of_every_kind_of_socket_is_answered(
    serve, pool, queued, bind: str, words: list[str]
) -> None:
    server = serve(*words, app="slow:app", bind=bind)
    first = pool.submit(fetch, server.address, "/first?1")
    server.wait_log("started /first")
    connections = queued(server, 5)
    assert server.stop() == 0
    assert first.result().body == b"hello\n"
    assert all(connection.response().body == b"hello\n" for connection in connections)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTTOU])
def test_no_worker_drops_the_queue_when_another_stays(serve, pool, queued, number: signal.Signals) -> None:
    server = serve("-w", "2", app="slow:app")
    server.wait_log("Booting worker with pid", 2)
    first = [pool.submit(fetch, server.address, f"/first{n}?1") for n in range(2)]
    server.wait_log("started /first", 2)
    connections = queued(server, 8)
    server.send(number)
    assert all(connection.response().body == b"hello\n" for connection in connections)
    assert all(response.result().body == b"hello\n" for response in first)
