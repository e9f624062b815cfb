"""The base of worker classes that are driven from Python, those of your own included.

Owns how the server and a driver meet: `worker_class = 'package.module.Class'` names a class that derives
from `Worker`, of which each worker process makes one object. Must never import what only some drivers need.
Read next: gevent.py, a driver in full.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rwsgi._rwsgi import Engine


class Worker:
    """Runs the loop of a worker process: how to wait, and how to run requests beside each other.

    Everything else is the server's: it accepts, reads, parses, calls the application, writes, keeps the
    limits and follows the signals. This one serves one request after the other.
    """

    # Whether it reads and answers requests itself. `run` gets something else than an engine then.
    speaks_http = False

    def patch(self) -> None:
        """Change Python before the application is loaded.

        Called after the fork and the `post_fork` hook, and under `preload_app` in the master as well, before
        it loads the application.
        """

    def wrap(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """The WSGI application to serve, in place of the one that was loaded."""
        return application

    def run(self, engine: Engine) -> None:
        """Serve until `engine.limit()` is None.

        `engine` may only be used in the thread that calls this. Each task that `engine.turn()` returns serves
        one request when it is called, once, in that thread: in a greenlet, for example. A task to which
        nobody has kept a reference closes its connection.
        """
        poll = select.poll()
        poll.register(engine.fileno(), select.POLLIN)
        while (seconds := engine.limit()) is not None:
            poll.poll(seconds * 1000)
            for task in engine.turn():
                task()
