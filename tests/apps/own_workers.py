"""Worker classes of a program's own, and what is no worker class."""

import threading
import time

from rwsgi.glogging import Logger
from rwsgi.workers.base import Worker
from rwsgi.workers.gevent import GeventWorker


class Serial(Worker):
    """The base as it is: one request after the other."""


class Noted(GeventWorker):
    """gevent's, with something done before and after."""

    def patch(self):
        super().patch()
        print("patching", flush=True)

    def run(self, engine):
        print("running", flush=True)
        super().run(engine)
        print("done", flush=True)


class Broken(Worker):
    def run(self, engine):
        raise RuntimeError("it does not run")


class Dies(Worker):
    """Fails when it has begun to serve."""

    def run(self, engine):
        engine.turn()
        raise RuntimeError("it does not go on")


class Forgetful(Worker):
    """Serves nobody."""

    def run(self, engine):
        import select

        poll = select.poll()
        poll.register(engine.fileno(), select.POLLIN)
        while (seconds := engine.limit()) is not None:
            poll.poll(seconds * 1000)
            engine.turn()


class Stranger:
    """Does not derive from the base."""

    def run(self, engine):
        threading.Event().wait()


class SlowLogger(Logger):
    """Waits before it tells of a request, as a handler that speaks to another server does."""

    def access(self, resp, req, environ, request_time):
        time.sleep(0.3)  # long enough for other requests to end meanwhile
        print(f"told of {req.path}", flush=True)
