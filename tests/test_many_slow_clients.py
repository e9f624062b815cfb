"""A thousand slow clients at once: those who are not slow must not notice, nor must the memory.

Owns the crowd: one thread that sends for all of them, by poll. Must never read what is meant not to be read.
Read next: test_patience.py, which shows one client at a time how slow is too slow.
"""

from __future__ import annotations

import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from client import encode, fetch
from server import Running, eventually

EACH = 250
HALF_HEAD = b"GET /hello/app HTTP/1.1\r\nX-Slow: "
SMALL_BODY = encode("POST", "/bodies/echo", ("Content-Length", "100000"), body=b"x" * 500)
LARGE_BODY = encode("POST", "/bodies/echo", ("Content-Length", "1000000"), body=b"x" * 900_000)
UNREAD = encode("GET", "/iterables/large?1000000")
# What a client sends, whether it drips when that is out, and whether it reads.
KINDS = [(HALF_HEAD, True), (SMALL_BODY, True), (LARGE_BODY, False), (UNREAD, False)]


class Crowd(threading.Thread):
    """Slow clients: each sends its beginning as far as it is taken, and then little or nothing."""

    def __init__(self, address: tuple[str, int]):
        super().__init__()
        self.stopped = threading.Event()
        self.poll = select.poll()
        self.clients: dict[int, socket.socket] = {}
        self.unsent: dict[int, memoryview] = {}
        self.drips: list[int] = []
        for _ in range(EACH):
            for data, drips in KINDS:
                self.join_in(address, data, drips)

    def join_in(self, address: tuple[str, int], data: bytes, drips: bool) -> None:
        client = socket.socket()
        # What is not read shall not fit into the client's own buffer either.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        client.setblocking(False)
        number = client.fileno()
        self.clients[number] = client
        self.unsent[number] = memoryview(data)
        self.poll.register(number, select.POLLOUT)
        if drips:
            self.drips.append(number)

    def run(self) -> None:
        while not self.stopped.is_set():
            for number, _ in self.poll.poll(100):
                self.push(number)
            for number in self.drips:
                if number in self.clients and not self.unsent[number]:
                    self.send(number, b"x")
            self.stopped.wait(0.1)

    def push(self, number: int) -> None:
        self.unsent[number] = self.unsent[number][self.send(number, self.unsent[number][:65536]) :]
        if not self.unsent[number] and number in self.clients:
            self.poll.modify(number, 0)

    def send(self, number: int, data: bytes | memoryview) -> int:
        try:
            return self.clients[number].send(data)
        except BlockingIOError:
            return 0
        except OSError:  # the server has had enough of it
            self.poll.unregister(number)
            self.clients.pop(number).close()
            return 0


@contextmanager
def crowd(server: Running) -> Iterator[Crowd]:
    slow = Crowd(server.address)
    slow.start()
    try:
        yield slow
    finally:
        slow.stopped.set()
        slow.join()
        for client in slow.clients.values():
            client.close()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * EACH + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(pid: int) -> int:
    """MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def sockets(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def answer_times(server: Running, count: int) -> list[float]:
    times = []
    for number in range(count):
        start = time.monotonic()
        body = b"y" * 20_000 if number % 2 else b""
        response = fetch(server.address, "/bodies/echo", method="POST", body=body)
        assert (response.status, response.body) == (200, body)
        times.append(time.monotonic() - start)
    return times


def test_a_thousand_slow_clients_cost_others_nothing(
    serve: Callable[..., Running], many_descriptors: None
) -> None:
    server = serve("--worker-connections", "2000", "--worker-buffers", "32M", app="cases:app")
    (worker,) = server.wait_workers(1)
    answer_times(server, 20)
    before = resident(worker)
    with crowd(server):
        times = answer_times(server, 20)
        # Those that are answered in full, because the kernel takes it all, are gone again.
        eventually(lambda: sockets(worker) > 3 * EACH, "the crowd is in")
        eventually(lambda: resident(worker) - before > 30, "bodies are on their way")
        end = time.monotonic() + 3  # for as long, nothing may change
        while time.monotonic() < end:
            times += answer_times(server, 10)
            assert resident(worker) - before < 100
    assert max(times) < 2
    assert server.workers() == [worker]
    assert fetch(server.address, "/hello/app").status == 200
    eventually(lambda: sockets(worker) < 50, "the crowd is forgotten")


def test_bodies_that_found_no_room_are_read_when_there_is_some(serve: Callable[..., Running]) -> None:
    server = serve("--worker-buffers", "1M", app="cases:app")
    body = b"z" * 900_000
    half = encode("POST", "/bodies/echo", ("Content-Length", str(len(body))), body=body[:450_000])
    results: list[bytes] = []

    def upload() -> None:
        results.append(fetch(server.address, "/bodies/echo", method="POST", body=body).body)

    slow = [socket.create_connection(server.address) for _ in range(5)]
    for client in slow:
        client.setblocking(False)
        client.send(half)
    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert fetch(server.address, "/bodies/echo", method="POST", body=b"small").body == b"small"
    for client in slow:
        client.close()
    for thread in threads:
        thread.join(20)
    assert results == [body] * 4


def test_of_responses_that_find_no_room_the_slowest_is_cut(serve: Callable[..., Running]) -> None:
    server = serve("--worker-buffers", "1M", app="cases:app")
    readers = []
    for _ in range(3):
        readers.append(socket.create_connection(server.address))
        readers[-1].send(encode("GET", "/iterables/large?20000000"))
    server.wait_log("too much waits for clients that do not read (worker_buffers)")
    assert fetch(server.address, "/hello/app").status == 200
    for reader in readers:
        reader.close()
