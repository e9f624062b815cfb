"""The connections of a tornado application, of which tornado's own HTTP server serves each.

Owns what a connection waits for, and until when; and how tornado's server hears of the policy, and the logs
and hooks of what it answers. Must never touch a name of tornado's that begins with an underscore. Read next:
life.py, which drives it.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.iostream import IOStream

if TYPE_CHECKING:
    from rwsgi._rwsgi import NativeProcess, NativeRequest

# At a stop a client that has said nothing is waited for so long, and one in the middle of a head so long.
SILENT, INCOMPLETE = 1.0, 2.0
SWITCHING_PROTOCOLS, BAD_REQUEST = 101, 400
# A close frame of the server's with status 1012, "service restart" (RFC 6455 section 5.5.1).
RESTARTING = b"\x88\x02\x03\xf4"
# What a connection is about: nothing has come yet; nothing of the next request has come; some of a head has;
# a request is served; the protocol is another; the client has its answer and may go on sending for a while.
NEW, IDLE, HEAD, SERVING, UPGRADED, LINGERING = range(6)


class Clients:
    """The connections of the worker, of which tornado's server serves each."""

    def __init__(self, native: NativeProcess) -> None:
        self.native, self.process = native, native.process
        self.cfg = cfg = self.process.cfg
        self.server = Server(
            self.process.application,
            no_keep_alive=not cfg.keepalive,
            max_header_size=native.longest_head,
            body_timeout=cfg.request_body_timeout or None,
            max_body_size=cfg.limit_request_body or None,
        )
        # A timer of the loop's for each request, which the sweep makes needless.
        self.server.conn_params.header_timeout = None
        self.is_observed = native.is_observed
        self.all: set[Client] = set()
        self.stopping = False
        # Handlers' tasks are tornado's.
        self.tasks: list[asyncio.Task[Any]] = []

    @property
    def has_room(self) -> bool:
        return len(self.all) < self.cfg.worker_connections or any(client.is_waiting for client in self.all)

    @property
    def is_idle(self) -> bool:
        return not self.all

    def accept(self, number: int) -> None:
        accepted = self.process.accept(number)
        if accepted is None:
            return
        if len(self.all) >= self.cfg.worker_connections:
            min((client for client in self.all if client.is_waiting), key=lambda client: client.due).close()
        connection, peer = accepted
        # A listener that was passed to the server has not got it for them.
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(connection, peer, self)
        self.all.add(client)
        self.server.handle_stream(client, peer or "")

    def sweep(self, stopping_since: float | None) -> None:
        now = time.monotonic()
        for client in list(self.all):
            client.look(now)

    def tell_of_slowness(self, peer: tuple[str, int] | None) -> None:
        address = peer[0] if peer else ""
        message = f"Client at {address} is too slow: it does not read the response"
        self.process.tell("info", message, None)

    def stop(self) -> None:
        self.stopping = True
        # What is answered from now on says that the connection ends.
        self.server.conn_params.no_keep_alive = True
        for client in list(self.all):
            client.stop()

    def abort(self) -> int:
        cut = list(self.all)
        for client in cut:
            client.close()
        return len(cut)


class Client(IOStream):
    """A connection: which request is in hand, and until when what is awaited has to come."""

    def __init__(self, connection: socket.socket, peer: tuple[str, int] | None, clients: Clients) -> None:
        super().__init__(connection)
        self.peer, self.clients, self.cfg = peer, clients, clients.cfg
        self.request: NativeRequest | None = None
        self.answer: Answer | None = None
        self.head: asyncio.Future[bytes] = asyncio.Future()
        self.state, self.due = NEW, after(self.cfg.request_head_timeout)
        self.wrote_at = 0.0
        # These are asked at every request.
        self.keepalive, self.native = self.cfg.keepalive, clients.native
        # What a proxy said with the last request, and what holds without.
        self.forwarded: tuple[str | None, str | None] | None = None
        self.remote_ip = peer[0] if peer else "0.0.0.0"

    @property
    def is_waiting(self) -> bool:
        return self.state <= IDLE

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Any:
        """The head of a request. A websocket's frames are read in other ways."""
        if self.state == SERVING:
            if self.clients.stopping:
                self.close()
            self.state, self.due = IDLE, time.monotonic() + self.keepalive
        self.head = super().read_until_regex(regex, max_bytes)
        return self.head

    def begin(self) -> NativeRequest | None:
        """The request whose head has come, unless it is refused."""
        if self.state == LINGERING:
            return None
        request = self.open()
        if request.refusal is not None:
            self.refuse(request.refusal)
        return self.request

    def open(self) -> NativeRequest:
        self.state = SERVING
        self.request = self.native.begin(self.head.result(), self.peer)
        return self.request

    def write(self, data: bytes | memoryview) -> asyncio.Future[None]:
        if self.state <= HEAD and self.head.done():
            # tornado refuses a head that it has shown to nobody. The policy may have better words for it.
            data = self.open().refusal or data
        return super().write(data)

    def refuse(self, page: bytes) -> None:
        """Answer in the place of the application, and listen a little: closing at once could destroy it."""
        self.end()
        self.state, self.due = LINGERING, time.monotonic() + self.cfg.linger_timeout
        self.send(page)
        if not self.closed():
            self.socket.shutdown(socket.SHUT_WR)

    def send(self, octets: bytes) -> None:
        """Without caring whether they arrive."""
        if not self.closed():
            self.write(octets).add_done_callback(asyncio.Future.exception)

    def end(self) -> None:
        """The request in hand is answered, or will not be."""
        request, answer = self.request, self.answer
        self.request = self.answer = None
        if request is None:
            return
        if answer is None:
            # No handler has heard of it: tornado has refused it.
            return request.end(BAD_REQUEST, [], 0)
        fields = answer.fields() if self.clients.is_observed else []
        request.end(answer.status, fields, answer.sent)

    def look(self, now: float) -> None:
        """At what is due by now."""
        if self.writing() and self.cfg.send_timeout and now > self.wrote_at + self.cfg.send_timeout:
            self.clients.tell_of_slowness(self.peer)
            self.close()
        elif self.state in (SERVING, UPGRADED):
            limit = self.cfg.request_timeout
            if limit and self.request is not None and self.request.age > limit:
                self.give_up(self.request)
        elif now >= self.due and self.state == HEAD:
            self.refuse(self.native.slow_head(self.peer))
        elif now >= self.due:
            self.close()

    def give_up(self, request: NativeRequest) -> None:
        page = request.overdue()
        if self.answer is None or not self.answer.has_begun:
            self.send(page)
        self.close()

    def stop(self) -> None:
        """The worker is to leave."""
        if self.state == UPGRADED:
            self.send(RESTARTING)
        elif self.state == IDLE:
            self.close()
        elif self.state in (NEW, HEAD):
            patience = SILENT if self.state == NEW else INCOMPLETE
            self.due = min(self.due, time.monotonic() + patience)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        count = super().read_from_fd(buf)
        if self.state <= IDLE and count:
            if self.state == IDLE:
                self.due = after(self.cfg.request_head_timeout)
            self.state = HEAD
        return count

    def write_to_fd(self, data: memoryview) -> int:
        size = len(data)
        count = super().write_to_fd(data)
        if count < size:
            self.wrote_at = time.monotonic()
        return count

    def close_fd(self) -> None:
        super().close_fd()
        self.clients.all.discard(self)
        self.end()


def after(seconds: float) -> float:
    """Zero is for ever."""
    return time.monotonic() + seconds if seconds else math.inf


class Server(HTTPServer):
    """tornado's, told of the requests that the policy refuses, and telling what was answered."""

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        answer = Answer(request_conn, request_conn.stream)
        return Message(super().start_request(server_conn, answer), answer)


class Message(HTTPMessageDelegate):
    """A request on its way to tornado's application."""

    def __init__(self, delegate: HTTPMessageDelegate, answer: Answer) -> None:
        self.delegate, self.answer = delegate, answer
        self.data_received, self.finish = delegate.data_received, delegate.finish
        self.on_connection_close = delegate.on_connection_close

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        answer = self.answer
        client, context = answer.client, answer.context
        request = client.begin()
        if request is None:
            # It was refused: tornado has nothing more to do with the connection.
            answer.connection.detach()
            return None
        client.answer = answer
        if (said := request.forwarded) != client.forwarded:
            # tornado has one context for all requests of a connection.
            client.forwarded = said
            scheme, address = said or (None, None)
            context.protocol, context.remote_ip = scheme or "http", address or client.remote_ip
        return self.delegate.headers_received(start_line, headers)


class Answer(HTTPConnection):
    """The way out for a handler, which notes what it says."""

    def __init__(self, connection: Any, client: Client) -> None:
        self.connection, self.client, self.context = connection, client, connection.context
        self.set_close_callback = connection.set_close_callback
        self.status, self.headers, self.sent = 500, None, 0

    @property
    def has_begun(self) -> bool:
        return self.headers is not None

    def fields(self) -> list[tuple[bytes, bytes]]:
        fields = self.headers.get_all() if self.headers is not None else ()
        return [(name.encode("latin-1"), value.encode("utf-8")) for name, value in fields]

    def write_headers(self, start_line: Any, headers: Any, chunk: bytes | None = None) -> Any:
        self.status, self.headers = start_line.code, headers
        self.sent += len(chunk or b"")
        if start_line.code == SWITCHING_PROTOCOLS:
            self.client.state = UPGRADED
        return self.connection.write_headers(start_line, headers, chunk)

    def write(self, chunk: bytes) -> Any:
        self.sent += len(chunk)
        return self.connection.write(chunk)

    def finish(self) -> None:
        self.connection.finish()
        if self.client.answer is self:
            self.client.end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)
