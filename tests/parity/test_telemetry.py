"""Syslog and statsd, received by real sockets."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import DEADLINE, fetch

USER_INFO, LOCAL3_INFO = 8 * 1 + 6, 8 * 19 + 6


class Receiver:
    """A socket on loopback, and what came in on it, split into messages."""

    def __init__(self, family: socket.AddressFamily, kind: socket.SocketKind, path: Path) -> None:
        self.socket = socket.socket(family, kind)
        self.socket.settimeout(DEADLINE)
        self.socket.bind(str(path) if family == socket.AF_UNIX else ("127.0.0.1", 0))
        self.kind, self.connections = kind, []
        if kind == socket.SOCK_STREAM:
            self.socket.listen()
            self.socket.setblocking(False)

    @property
    def port(self) -> int:
        return self.socket.getsockname()[1]

    def messages(self) -> Iterator[str]:
        """Each line of a datagram; of a stream each piece that ends with NUL. Fails when none comes."""
        while self.kind == socket.SOCK_DGRAM:
            yield from self.socket.recv(65536).decode().split("\n")
        yield from self.pieces()

    def pieces(self) -> Iterator[str]:
        pending: dict[socket.socket, bytes] = {}
        while True:
            ready, _, _ = select.select([self.socket, *pending], [], [], DEADLINE)
            assert ready, "no message"
            for one in ready:
                if one is self.socket:
                    accepted = one.accept()[0]
                    self.connections.append(accepted)
                    pending[accepted] = b""
                    continue
                came = one.recv(65536)
                if not came:
                    del pending[one]
                    continue
                *whole, pending[one] = (pending[one] + came).split(b"\0")
                yield from (message.decode() for message in whole)

    def until(self, *patterns: str) -> list[str]:
        """The messages up to the one with which each pattern has matched some message."""
        wanted, seen = set(patterns), []
        for message in self.messages():
            seen.append(message)
            wanted -= {pattern for pattern in wanted if re.search(pattern, message)}
            if not wanted:
                return seen
        raise AssertionError("the messages ended")

    def close(self) -> None:
        for one in (self.socket, *self.connections):
            one.close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator:
    made: list[Receiver] = []

    def receiver(family: socket.AddressFamily, kind: socket.SocketKind) -> Receiver:
        made.append(Receiver(family, kind, tmp_path / "s"))
        return made[-1]

    yield receiver
    for one in made:
        one.close()


UDP = (socket.AF_INET, socket.SOCK_DGRAM, "udp://127.0.0.1:{port}")
TCP = (socket.AF_INET, socket.SOCK_STREAM, "tcp://127.0.0.1:{port}")
UNIX_DATAGRAM = (socket.AF_UNIX, socket.SOCK_DGRAM, "unix://{path}#dgram")
UNIX_STREAM = (socket.AF_UNIX, socket.SOCK_STREAM, "unix://{path}#stream")
UNIX_ANY = (socket.AF_UNIX, socket.SOCK_DGRAM, "unix://{path}")


@pytest.mark.parametrize("transport", [UDP, TCP, UNIX_DATAGRAM, UNIX_STREAM, UNIX_ANY])
def test_syslog_gets_both_logs(serve, receiver, tmp_path: Path, transport) -> None:
    family, kind, form = transport
    syslog = receiver(family, kind)
    port = syslog.port if family == socket.AF_INET else ""
    # Where the file of the socket is, is not known to the fixture's {home}.
    address = form.replace("{port}", str(port)).replace("{path}", str(tmp_path / "s"))
    server = serve("--log-syslog", "--log-syslog-to", address, "--name", "a:b")
    fetch(server.address, "/told?x=1")
    seen = syslog.until("Listening at", "GET /told")
    (access,) = [message for message in seen if "/told" in message]
    assert re.match(rf"<{USER_INFO}>gunicorn\.a\.b\.access: \[\d+\] 127\.0\.0\.1 - - \[", access)
    assert '"GET /told?x=1 HTTP/1.1" 200 6' in access
    (listening,) = [message for message in seen if "Listening at" in message]
    assert listening.rstrip("\0").startswith(
        f"<{USER_INFO}>gunicorn.a.b.error: [{server.pid}] Listening at: http://127.0.0.1:"
    )


def test_syslog_facility_prefix_and_errors_alone(serve, receiver) -> None:
    syslog = receiver(socket.AF_INET, socket.SOCK_DGRAM)
    flags = ["--log-syslog", "--log-syslog-to", f"udp://127.0.0.1:{syslog.port}"]
    flags += ["--log-syslog-facility", "local3", "--log-syslog-prefix", "shop"]
    server = serve(*flags, "--disable-redirect-access-to-syslog", app="cases:app")
    fetch(server.address, "/hello/app")
    fetch(server.address, "/misuse/raises")
    seen = syslog.until("Error handling request")
    assert all(message.startswith("<15") and "gunicorn.shop.error: [" in message for message in seen)
    assert seen[0].startswith(f"<{LOCAL3_INFO}>")
    # Severity 3: error.
    assert f"<{LOCAL3_INFO - 3}>gunicorn.shop.error" in seen[-1]


def test_syslog_level_and_error_log_stay(serve, receiver) -> None:
    syslog = receiver(socket.AF_INET, socket.SOCK_DGRAM)
    server = serve("--log-syslog", "--log-syslog-to", f"udp://127.0.0.1:{syslog.port}")
    assert "Listening at" in server.wait_log("Listening at")
    syslog.until("Listening at")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_statsd_counts_requests(serve, receiver, tmp_path: Path, family) -> None:
    statsd = receiver(family, socket.SOCK_DGRAM)
    host = f"127.0.0.1:{statsd.port}" if family == socket.AF_INET else f"unix://{tmp_path / 's'}"
    server = serve("--statsd-host", host, "--statsd-prefix", "shop.", app="cases:app")
    fetch(server.address, "/hello/app")
    fetch(server.address, "/heads/not_found")
    fetch(server.address, "/misuse/raises")
    seen = statsd.until(r"status\.200", r"status\.404", r"status\.500", "log.exception", "workers")
    for pattern in [
        r"shop\.gunicorn\.workers:1\|g",
        r"shop\.gunicorn\.requests:1\|c\|@1\.0",
        r"shop\.gunicorn\.request\.status\.200:1\|c\|@1\.0",
        r"shop\.gunicorn\.request\.status\.404:1\|c\|@1\.0",
        r"shop\.gunicorn\.request\.duration:\d+(\.\d+)?(e-\d+)?\|ms",
        r"shop\.gunicorn\.log\.exception:1\|c\|@1\.0",
    ]:
        assert any(re.fullmatch(pattern, message) for message in seen), (pattern, seen)


def test_statsd_tags_and_the_backlog(serve, receiver) -> None:
    statsd = receiver(socket.AF_INET, socket.SOCK_DGRAM)
    flags = ["--statsd-host", f"127.0.0.1:{statsd.port}", "--dogstatsd-tags", "env:test,app:shop"]
    server = serve(*flags, "--enable-backlog-metric")
    fetch(server.address)
    seen = statsd.until(r"status\.200", "backlog")
    assert all(message.endswith("|#env:test,app:shop") for message in seen), seen
    assert any(re.fullmatch(r"gunicorn\.backlog:\d+\|h\|#env:test,app:shop", message) for message in seen)


def test_metrics_of_the_application(serve, receiver, tmp_path: Path) -> None:
    statsd = receiver(socket.AF_INET, socket.SOCK_DGRAM)
    config = tmp_path / "conf.py"
    config.write_text(
        "def post_worker_init(worker):\n"
        "    worker.log.info('', extra={'metric': 'shop.open', 'value': 3, 'mtype': 'gauge'})\n"
        "    worker.log.info('sold', extra={'metric': 'shop.sold', 'value': 2, 'mtype': 'counter'})\n"
    )
    server = serve("-c", str(config), "--statsd-host", f"127.0.0.1:{statsd.port}")
    seen = statsd.until("shop.sold")
    assert "shop.open:3|g" in seen
    assert "shop.sold:2|c|@1.0" in seen
    assert "[INFO] sold" in server.wait_log("sold")


@pytest.mark.parametrize("flag", [("--statsd-host",), ("--log-syslog", "--log-syslog-to")])
def test_a_server_that_is_not_there_costs_nothing(serve, flag: tuple[str, ...]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"udp://127.0.0.1:{port}" if "syslog" in flag[0] else f"127.0.0.1:{port}"
    server = serve(*flag, address)
    for _ in range(20):
        assert fetch(server.address).status == 200
    assert server.stop() == 0
