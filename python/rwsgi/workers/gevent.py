"""`worker_class = 'gevent'`: a greenlet for each request.

Owns how gevent's hub waits for the engine, and for a client where a call of the application has to. The engine
itself runs in the main greenlet, never in the hub: a logger that blocks may switch there. Read next: base.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent import Greenlet, get_hub, getcurrent, monkey, reinit
from gevent.socket import wait_read, wait_write

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
        sleeper = Sleeper(engine.fileno())
        while (seconds := engine.limit()) is not None:
            sleeper.sleep(seconds)
            for task in engine.turn():
                Greenlet.spawn(task)


def wait(fd: int, for_writing: bool, seconds: float | None) -> bool:
    """Let other greenlets run until `fd` is ready. False if the time passed first."""
    try:
        (wait_write if for_writing else wait_read)(fd, timeout=seconds)
    except TimeoutError:
        return False
    return True


class Sleeper:
    """The main greenlet, asleep until a descriptor is readable or its time is up."""

    def __init__(self, fd: int) -> None:
        self.hub = get_hub()
        self.greenlet = getcurrent()
        self.asleep = False
        self.seconds = 0.0
        self.timer = self.hub.loop.timer(0)
        # It stays started: waiting costs no more than the two switches.
        self.watcher = self.hub.loop.io(fd, READ)
        self.watcher.start(self.wake)

    def wake(self) -> None:
        # It may be in the middle of a turn, where a logger of the application's waits for something else.
        if self.asleep:
            self.asleep = False
            self.greenlet.switch()

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
