"""`worker_class = 'asgi'`: an event loop that serves an ASGI application.

Owns the loop, and that the application's lifespan encloses the worker's. What is said on a connection is the
server's (src/asgi). Read next: life.py, lifespan.py.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import TYPE_CHECKING, Any

from .base import Worker
from .life import Life, running
from .lifespan import Lifespan

if TYPE_CHECKING:
    from rwsgi._rwsgi import AsgiProcess


class AsgiWorker(Worker):
    speaks_http = True

    def wrap(self, application: Any) -> Any:
        # Under `reload` something stands in the place of an application that cannot be loaded.
        report = getattr(application, "rwsgi_report", None)
        return application if report is None else Broken(report)

    def run(self, worker: AsgiProcess) -> None:
        with running(new_loop(worker.process.cfg.asgi_loop)) as loop:
            loop.run_until_complete(AsgiLife(worker, loop).live())


class Broken:
    """Answers with the reason why the application cannot be loaded."""

    def __init__(self, report: bytes) -> None:
        self.report = report

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("the application cannot be loaded")
        fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 500, "headers": fields})
        await send({"type": "http.response.body", "body": self.report})


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    if name != "asyncio":
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                raise
        else:
            return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def task_starter(loop: asyncio.AbstractEventLoop) -> Any:
    """What makes a task of a coroutine, and makes its first step at once where Python can."""
    if sys.version_info < (3, 12):
        return loop.create_task
    eager = functools.partial(asyncio.Task, loop=loop, eager_start=True)

    def start(coroutine: Any) -> Any:
        # The application may have set one.
        return loop.create_task(coroutine) if loop.get_task_factory() else eager(coroutine)

    return start


class AsgiClients:
    """The connections, whose protocol is the server's."""

    def __init__(self, worker: AsgiProcess, loop: asyncio.AbstractEventLoop, state: dict[str, Any]) -> None:
        self.worker, self.loop = worker, loop
        self.server = worker.server(loop, task_starter(loop), state)
        self.sweep, self.stop, self.abort = self.server.sweep, self.server.stop, self.server.abort
        self.connecting: set[asyncio.Task[Any]] = set()

    @property
    def has_room(self) -> bool:
        return self.server.has_room

    @property
    def is_idle(self) -> bool:
        return self.server.is_idle and not self.connecting

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        return self.server.tasks

    def accept(self, number: int) -> None:
        accepted = self.worker.accept(self.server, number)
        if accepted is not None:
            socket, protocol = accepted
            connecting = self.loop.connect_accepted_socket(lambda: protocol, socket)
            task = self.loop.create_task(connecting)
            self.connecting.add(task)
            task.add_done_callback(self.connected)

    def connected(self, task: asyncio.Task[Any]) -> None:
        self.connecting.discard(task)
        # A client that is gone already is nobody's business.
        if not task.cancelled():
            task.exception()


class AsgiLife(Life):
    """From the lifespan's startup to its shutdown."""

    def __init__(self, worker: AsgiProcess, loop: asyncio.AbstractEventLoop) -> None:
        process = worker.process
        if process.cfg.max_waiting_requests:
            process.tell("warning", "max_waiting_requests means nothing to the worker class asgi.", None)
        self.lifespan = Lifespan(process.application, process.cfg.asgi_lifespan, process.tell)
        super().__init__(process, AsgiClients(worker, loop, self.lifespan.state), loop)

    async def start_up(self) -> None:
        """The lifespan's startup, unless the worker is asked to go first."""
        startup = asyncio.ensure_future(self.lifespan.startup())
        stopping = asyncio.ensure_future(self.stopping.wait())
        await asyncio.wait([startup, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not startup.done():
            startup.cancel()
            return
        startup.result()

    async def shut_down(self) -> None:
        await self.lifespan.shutdown()
