"""`worker_class = 'gevent'`: a greenlet for each request.

Owns how gevent's hub waits for the engine, and for a client where a call of the application has to. The
engine itself must never run in the hub, where nothing may block: a logger of the application's may. Read
next: base.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gevent import get_hub, getcurrent, monkey, reinit
from gevent.socket import wait_read, wait_write
from greenlet import greenlet

from .base import Worker

if TYPE_CHECKING:
    from rwsgi._rwsgi import Engine

READ = 1


class GeventWorker(Worker):
    def patch(self) -> None:
        monkey.patch_all()
        reinit()

    def run(self, engine: Engine) -> None:
        engine.wait_by(wait)
        loop = Loop(engine.fileno())
        while (seconds := engine.limit()) is not None:
            loop.sleep(seconds)
            loop.begin(engine.turn())


def wait(fd: int, for_writing: bool, seconds: float | None) -> bool:
    """Let other greenlets run until `fd` is ready. False if the time passed first."""
    try:
        (wait_write if for_writing else wait_read)(fd, timeout=seconds)
    except TimeoutError:
        return False
    return True


class Loop:
    """The main greenlet, asleep until a descriptor is readable or its time is up, and those it begins."""

    def __init__(self, fd: int) -> None:
        self.hub = get_hub()
        self.greenlet = getcurrent()
        self.asleep = False
        self.tasks: list[Callable[[], None]] = []
        self.seconds = 0.0
        self.timer = self.hub.loop.timer(0)
        # It stays started: waiting costs no more than the two switches.
        self.watcher = self.hub.loop.io(fd, READ)
        self.watcher.start(self.wake)

    def wake(self) -> None:
        """In the hub: let the main greenlet have its turn, then run what has come of it."""
        # It may be in the middle of a turn, where a logger of the application's waits for something else.
        if self.asleep:
            self.asleep = False
            self.greenlet.switch()
        while self.tasks:
            # What ends or waits goes back to the hub, and so here.
            greenlet(self.tasks.pop(0), self.hub).switch()

    def begin(self, tasks: list[Callable[[], None]]) -> None:
        self.tasks += tasks

    def sleep(self, seconds: float) -> None:
        if seconds != self.seconds:
            self.seconds = seconds
            self.timer.close()
            self.timer = self.hub.loop.timer(seconds, seconds)
            if seconds:
                self.timer.start(self.wake)
        self.asleep = True
        if not seconds:
            self.hub.loop.run_callback(self.wake)
        self.hub.switch()
