"""`worker_class = 'tornado'`: tornado's loop, for its own applications and for WSGI ones.

Owns which of the two an application is. WSGI applications are served by the engine, as in every other class,
while tornado's loop runs. Read next: tornado_clients.py, for tornado's own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPServerConnectionDelegate
from tornado.wsgi import WSGIContainer

from rwsgi.errors import BootError

from .base import Worker
from .life import Life, running
from .tornado_clients import Clients

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rwsgi._rwsgi import Engine, NativeProcess

# For tornado's own applications.
MOOT = ("max_waiting_requests", "request_spool")


class TornadoWorker(Worker):
    def patch(self) -> None:
        # A loop does not survive a fork; the application may want one while it is imported.
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)

    def wrap(self, application: Any) -> Any:
        self.speaks_http = isinstance(application, (HTTPServerConnectionDelegate, WSGIContainer))
        return application

    def run(self, given: Any) -> None:
        with running(self.loop) as loop:
            serving = native(given, loop) if self.speaks_http else Turns(given, loop).run()
            loop.run_until_complete(serving)


def native(given: NativeProcess, loop: asyncio.AbstractEventLoop) -> Coroutine[Any, Any, None]:
    process = given.process
    if process.cfg.proxy_protocol not in (False, None, "off"):
        raise BootError("proxy_protocol is not supported for tornado's own applications")
    for name in MOOT:
        if getattr(process.cfg, name):
            process.tell("warning", f"{name} means nothing to a tornado application.", None)
    return Life(process, Clients(given), loop).live()


class Turns:
    """The engine of a WSGI application, whose turns are callbacks of the loop."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self.engine, self.loop = engine, loop
        self.over: asyncio.Future[None] = loop.create_future()
        self.timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        self.loop.add_reader(self.engine.fileno(), self.turn)
        self.turn()
        await self.over

    def turn(self) -> None:
        try:
            for request in self.engine.turn():
                request()
            seconds = self.engine.limit()
        except Exception as error:
            # The loop would log it and go on.
            return self.end(error)
        if self.timer is not None:
            self.timer.cancel()
        if seconds is None:
            return self.end(None)
        self.timer = self.loop.call_later(seconds, self.turn)

    def end(self, error: Exception | None) -> None:
        self.loop.remove_reader(self.engine.fileno())
        if error is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(error)
