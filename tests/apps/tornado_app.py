"""An application of tornado's own, in the style of its chat example."""

import asyncio
import json
import os
import sys
import time

from tornado.web import Application, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

PRESENT = set()


class Hello(RequestHandler):
    def get(self):
        self.write("hello\n")


class Echo(RequestHandler):
    def post(self):
        self.write(self.request.body)


@stream_request_body
class Length(RequestHandler):
    def prepare(self):
        self.request.connection.set_max_body_size(10_000_000)
        self.length = 0

    def data_received(self, chunk):
        self.length += len(chunk)

    def post(self):
        self.write(str(self.length))


class Stream(RequestHandler):
    async def get(self):
        for number in range(3):
            self.write(f"{number}\n")
            await self.flush()


class Slow(RequestHandler):
    async def get(self):
        print("started", file=sys.stderr, flush=True)
        await asyncio.sleep(float(self.request.query or 0))
        self.write("slept")


class Raises(RequestHandler):
    def get(self):
        raise RuntimeError("on purpose")


class Blocks(RequestHandler):
    def get(self):
        time.sleep(60)  # longer than a blocked loop is waited for


class Process(RequestHandler):
    def get(self):
        self.write(str(os.getpid()))


class Who(RequestHandler):
    def get(self):
        self.write({"scheme": self.request.protocol, "client": self.request.remote_ip})


class Pours(RequestHandler):
    async def get(self):
        while True:
            self.write(b"x" * 65536)
            await self.flush()


class Chat(WebSocketHandler):
    """Everybody hears what one says."""

    def select_subprotocol(self, subprotocols):
        return "chat" if "chat" in subprotocols else None

    def open(self):
        PRESENT.add(self)

    async def on_message(self, message):
        if message == "who":
            await self.write_message(json.dumps(len(PRESENT)))
            return
        for one in PRESENT:
            await one.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        PRESENT.discard(self)
        print("left", self.close_code, file=sys.stderr, flush=True)


app = Application(
    [
        ("/", Hello),
        ("/echo", Echo),
        ("/length", Length),
        ("/stream", Stream),
        ("/slow", Slow),
        ("/raises", Raises),
        ("/blocks", Blocks),
        ("/pid", Process),
        ("/who", Who),
        ("/pours", Pours),
        ("/chat", Chat),
    ]
)
