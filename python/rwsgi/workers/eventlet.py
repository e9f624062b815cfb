"""`worker_class = 'eventlet'`: a green thread for each request.

Owns how eventlet's hub waits for the engine, and for a client where a call of the application has to. Twin of
gevent.py, with the same names: only the hub differs. Read next: base.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import eventlet
from eventlet import wsgi
from eventlet.hubs import get_hub, hub, trampoline, use_hub
from eventlet.support.greenlets import getcurrent

from .base import Worker

if TYPE_CHECKING:
    from rwsgi._rwsgi import Engine


class EventletWorker(Worker):
    def patch(self) -> None:
        eventlet.monkey_patch()
        # One of its own: the master's belongs to the master.
        use_hub()

    def wrap(self, application: Callable[..., Any]) -> Callable[..., Any]:
        return Handled(application)

    def run(self, engine: Engine) -> None:
        engine.wait_by(wait)
        loop = Loop(engine.fileno())
        while (seconds := engine.limit()) is not None:
            loop.sleep(seconds)
            loop.begin(engine.turn())


def wait(fd: int, for_writing: bool, seconds: float | None) -> bool:
    """Let other green threads run until `fd` is ready. False if the time passed first."""
    try:
        trampoline(fd, read=not for_writing, write=for_writing, timeout=seconds, timeout_exc=TimeoutError)
    except TimeoutError:
        return False
    return True


class Loop:
    """The main green thread, asleep until a descriptor is readable or its time is up, and those it begins."""

    def __init__(self, fd: int) -> None:
        self.hub = get_hub()
        self.greenlet = getcurrent()
        self.asleep = False
        # It stays: waiting costs no more than the two switches.
        self.hub.add(hub.READ, fd, self.wake, self.greenlet.throw, None)

    def wake(self, _fd: int | None = None) -> None:
        # It may be in the middle of a turn, where a logger of the application's waits for something else.
        if self.asleep:
            self.asleep = False
            self.greenlet.switch()

    def begin(self, tasks: list[Callable[[], None]]) -> None:
        for task in tasks:
            eventlet.spawn_n(task)

    def sleep(self, seconds: float) -> None:
        self.asleep = True
        timer = self.hub.schedule_call_global(seconds, self.wake)
        self.hub.switch()
        timer.cancel()


class Handled:
    """An application that may answer by the socket, as eventlet's websockets do, and say so its way."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        wsgi.WSGI_LOCAL.already_handled = False
        result = self.application(environ, start_response)
        if wsgi.WSGI_LOCAL.already_handled:
            raise StopIteration
        return result
