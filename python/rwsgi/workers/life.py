"""The life of a worker whose clients are served by an asyncio loop.

Owns accepting, the beat, and the order of a stop: the end of what has begun, and of what waits in the queues
if nobody else will serve it. Must never know what is spoken with a client. Read next: asgi.py and tornado.py,
whose clients these are.
"""

from __future__ import annotations

import asyncio
import functools
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rwsgi._rwsgi import Process

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


class Clients(Protocol):
    """The connections of a worker."""

    @property
    def has_room(self) -> bool:
        """Whether another connection may be taken."""

    @property
    def is_idle(self) -> bool:
        """Nothing is left to do."""

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that run the application."""

    def accept(self, number: int) -> None:
        """Take a connection from a listener, if one waits. OSError if that cannot be done."""

    def sweep(self, stopping_since: float | None) -> None:
        """Look at the clock for every connection."""

    def stop(self) -> None:
        """No client may keep its connection any more."""

    def abort(self) -> int:
        """Cut every connection; how many that were."""


class Life:
    """One worker process from its startup to its shutdown."""

    def __init__(self, process: Process, clients: Clients, loop: asyncio.AbstractEventLoop) -> None:
        self.process, self.clients, self.loop = process, clients, loop
        self.cfg = process.cfg
        self.listeners = [fd for fd, _ in process.listeners]
        self.accepting = False
        # Exhaustion is not told again before.
        self.complain_after = 0.0
        self.stopping: asyncio.Event = asyncio.Event()
        self.stop_since: float | None = None
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
        await self.shut_down()

    async def start_up(self) -> None:
        """Before the first connection."""

    async def shut_down(self) -> None:
        """After the last."""

    def tick(self) -> None:
        """Signals, the beat, and the clients' time limits."""
        self.look()
        self.clients.sweep(self.stop_since)
        pause = self.process.turn
        if not self.clients.is_idle:
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
        if not self.clients.has_room:
            return self.pause_accepting()
        try:
            self.clients.accept(number)
        except OSError as error:
            self.complain(error)
            self.pause_accepting()

    def complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now >= self.complain_after:
            advice = "Raise the limit, or lower worker_connections."
            self.process.tell("error", f"Cannot accept connections: {error}. {advice}", None)
            self.complain_after = now + COMPLAINT_PAUSE

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

    async def finish(self) -> None:
        """End what has begun, and what waits in the queues if nobody else will."""
        self.stop_since = began = time.monotonic()
        self.process.stopping()
        self.clients.stop()
        # A little less than the master waits.
        end = began + self.cfg.graceful_timeout * 0.9
        departure = Departure(self, began)
        while time.monotonic() < end and not departure.is_over(time.monotonic()):
            await asyncio.sleep(LOOK)
        self.stop_accepting()
        if not self.clients.is_idle:
            cut = self.clients.abort()
            self.process.tell("warning", f"Forcing close of {cut} connections", None)
            if tasks := self.clients.tasks:
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
            return life.clients.is_idle and (self.left or now >= self.began + SETTLING)
        life.start_accepting()
        settled = life.clients.is_idle and not life.has_waiting()
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


@contextmanager
def running(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of this thread; what the application has left in it ends with it."""
    asyncio.set_event_loop(loop)
    # uvloop puts a descriptor of its own in its place, which only wakes the loop.
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    loop.call_soon(functools.partial(signal.set_wakeup_fd, wakeup, warn_on_full_buffer=False))
    try:
        yield loop
    finally:
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
