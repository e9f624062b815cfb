"""`worker_class = 'asgi'`: an event loop that serves an ASGI application.

Owns the loop, accepting, and the order of a worker's life: lifespan startup, serving, the end of what has
begun, lifespan shutdown. What is said on a connection is the server's (src/asgi). Read next: lifespan.py.
"""

from __future__ import annotations

import asyncio
import functools
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from .base import Worker
from .lifespan import Lifespan

if TYPE_CHECKING:
    from rwsgi._rwsgi import AsgiProcess

# How often clients' time limits are looked at while there are clients.
SWEEP = 0.25
# How often a stopping worker looks around.
LOOK = 0.01
# A worker that was asked to go looks this long for word from the master that the whole service ends. It is
# also how long handshakes under way get to finish.
SETTLING = 0.1
# The same for a socket of the worker's own: whoever is kept off has to wait for a second.
OWN_SETTLING = 0.002
# Clients that keep coming are not served for longer than this once the service ends.
PATIENCE = 5.0
# After descriptors ran out accepting pauses this long.
EXHAUSTED_PAUSE = 0.25
# A state that lasts is told this often.
COMPLAINT_PAUSE = 10.0
# Tasks that were cancelled have so long to end.
CANCELLED = 1.0


class AsgiWorker(Worker):
    def wrap(self, application: Any) -> Any:
        # Under `reload` something stands in the place of an application that cannot be loaded.
        report = getattr(application, "rwsgi_report", None)
        return application if report is None else Broken(report)

    def run(self, process: AsgiProcess) -> None:
        loop = new_loop(process.process.cfg.asgi_loop)
        asyncio.set_event_loop(loop)
        # uvloop puts a descriptor of its own in its place, which only wakes the loop.
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        loop.call_soon(functools.partial(signal.set_wakeup_fd, wakeup, warn_on_full_buffer=False))
        try:
            loop.run_until_complete(Life(process, loop).live())
        finally:
            leave(loop)


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


class Life:
    """One worker process from its lifespan's startup to its shutdown."""

    def __init__(self, worker: AsgiProcess, loop: asyncio.AbstractEventLoop) -> None:
        self.worker, self.process, self.loop = worker, worker.process, loop
        self.cfg = self.process.cfg
        if self.cfg.max_waiting_requests:
            worker.tell("warning", "max_waiting_requests means nothing to the worker class asgi.", None)
        self.lifespan = Lifespan(self.process.application, self.cfg.asgi_lifespan, worker.tell)
        self.server = worker.server(loop, task_starter(loop), self.lifespan.state)
        self.listeners = [fd for fd, _ in self.process.listeners]
        self.accepting = False
        # Exhaustion is not told again before.
        self.complain_after = 0.0
        self.stopping: asyncio.Event = asyncio.Event()
        self.stop_since: float | None = None
        self.connecting: set[asyncio.Task[Any]] = set()
        self.timer: asyncio.TimerHandle | None = None

    async def live(self) -> None:
        self.loop.add_reader(self.process.fileno(), self.look)
        self.tick()
        await self.start_up()
        if not self.stopping.is_set():
            self.process.ready()
            self.start_accepting()
            await self.stopping.wait()
            await self.finish()
        await self.lifespan.shutdown()

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

    def tick(self) -> None:
        """Signals, the beat, and the clients' time limits."""
        self.look()
        self.server.sweep(self.stop_since)
        pause = self.process.turn
        if not self.server.is_idle:
            pause = min(pause, SWEEP)
        self.timer = self.loop.call_later(pause, self.tick)

    def look(self) -> None:
        if self.process.look() and not self.stopping.is_set():
            self.stopping.set()
            if self.timer is not None:
                # From now on the turns are shorter.
                self.timer.cancel()
                self.timer = self.loop.call_soon(self.tick)

    def start_accepting(self) -> None:
        if not self.accepting:
            self.accepting = True
            for number, fd in enumerate(self.listeners):
                self.loop.add_reader(fd, self.accept, number)

    def stop_accepting(self) -> None:
        if self.accepting:
            self.accepting = False
            for fd in self.listeners:
                self.loop.remove_reader(fd)

    def accept(self, number: int) -> None:
        """Take one connection: those that are left are for whichever worker is free first."""
        if not self.server.has_room:
            return self.pause_accepting()
        try:
            accepted = self.worker.accept(self.server, number)
        except OSError as error:
            self.complain(error)
            return self.pause_accepting()
        if accepted is not None:
            socket, protocol = accepted
            connecting = self.loop.connect_accepted_socket(lambda: protocol, socket)
            task = self.loop.create_task(connecting)
            self.connecting.add(task)
            task.add_done_callback(self.connected)

    def complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now >= self.complain_after:
            advice = "Raise the limit, or lower worker_connections."
            self.worker.tell("error", f"Cannot accept connections: {error}. {advice}", None)
            self.complain_after = now + COMPLAINT_PAUSE

    def connected(self, task: asyncio.Task[Any]) -> None:
        self.connecting.discard(task)
        # A client that is gone already is nobody's business.
        if not task.cancelled():
            task.exception()

    def pause_accepting(self) -> None:
        self.stop_accepting()
        self.loop.call_later(EXHAUSTED_PAUSE, self.resume_accepting)

    def resume_accepting(self) -> None:
        if self.stop_since is None:
            self.start_accepting()

    def has_waiting(self) -> bool:
        """Whether a connection waits in the queue of a listener."""
        poll = select.poll()
        for fd in self.listeners:
            poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))

    @property
    def is_idle(self) -> bool:
        return self.server.is_idle and not self.connecting

    async def finish(self) -> None:
        """End what has begun, and what waits in the queues if nobody else will."""
        self.stop_since = began = time.monotonic()
        self.process.stopping()
        self.server.stop()
        # A little less than the master waits.
        end = began + self.cfg.graceful_timeout * 0.9
        departure = Departure(self, began)
        while time.monotonic() < end and not departure.is_over(time.monotonic()):
            await asyncio.sleep(LOOK)
        self.stop_accepting()
        if not self.is_idle:
            cut = self.server.abort()
            self.worker.tell("warning", f"Forcing close of {cut} connections", None)
            await self.end_tasks(self.server.tasks)

    async def end_tasks(self, tasks: list[asyncio.Task[Any]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=CANCELLED)


class Departure:
    """When a worker that was asked to go may leave: see src/worker/reactor/stop.rs, whose rules these are."""

    def __init__(self, life: Life, began: float) -> None:
        self.life, self.process = life, life.process
        self.began = began
        self.settling = OWN_SETTLING if life.cfg.reuse_port else SETTLING
        # Since when no new connection gets into the queue.
        self.closed: float | None = None
        # The queue has been left to others.
        self.left = False

    def is_over(self, now: float) -> bool:
        life = self.life
        if self.left or not self.process.draining:
            life.stop_accepting()
            return life.is_idle and (self.left or now >= self.began + SETTLING)
        life.start_accepting()
        settled = life.is_idle and not life.has_waiting()
        if self.closed is not None:
            return settled and now >= self.closed + self.settling
        if settled or now >= self.began + PATIENCE:
            return self.close_queue(now) and settled
        return False

    def close_queue(self, now: float) -> bool:
        """No worker but the last may shut the door: those who stay serve what comes until then."""
        if not self.process.leave() and not self.life.cfg.reuse_port:
            self.left = True
            return True
        self.closed = now
        self.process.refuse_connections()
        return False


def leave(loop: asyncio.AbstractEventLoop) -> None:
    """End what the application has left in the loop."""
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=CANCELLED))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
