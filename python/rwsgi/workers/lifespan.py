"""The lifespan of an ASGI application: it is told when the worker begins and ends.

Owns what a failure means: under `auto` an application that knows no lifespan is served without one, and one
that says that its startup failed is not served; under `on` it is not served either way. Read next: asgi.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from rwsgi.errors import BootError

# Seconds. The master ends a worker that takes longer than graceful_timeout for all of its stop.
SHUTDOWN_LIMIT = 30.0
FAILED = "ASGI lifespan startup failed"


class Lifespan:
    """`tell(level, message, error)` writes to the error log."""

    def __init__(
        self, application: Any, mode: str, tell: Callable[[str, str, BaseException | None], None]
    ) -> None:
        self.application, self.mode, self.tell = application, mode, tell
        # What the application leaves here is copied into the scope of each request.
        self.state: dict[str, Any] = {}
        self.events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.answered = asyncio.Event()
        self.answer: dict[str, Any] | None = None
        self.error: BaseException | None = None
        self.listens = False
        self.task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Raise `BootError` if the application cannot be served."""
        if self.mode == "off":
            return
        self.task = asyncio.ensure_future(self.run())
        answer = await self.ask("startup")
        if answer is None:
            return self.unsupported()
        if answer["type"] == "lifespan.startup.failed":
            message = answer.get("message") or ""
            raise BootError(f"{FAILED}: {message}" if message else FAILED)

    async def shutdown(self) -> None:
        if self.task is None or self.task.done():
            return
        try:
            answer = await asyncio.wait_for(self.ask("shutdown"), SHUTDOWN_LIMIT)
        except asyncio.TimeoutError:
            return self.tell("error", f"ASGI lifespan shutdown took longer than {SHUTDOWN_LIMIT:.0f} s", None)
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            self.tell("error", f"ASGI lifespan shutdown failed: {answer.get('message') or ''}", None)
        elif answer is None and self.error is not None:
            self.tell("error", "ASGI lifespan shutdown failed", self.error)
        # What stands behind the answer in the application is to run as well.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.task), 1)

    async def ask(self, what: str) -> dict[str, Any] | None:
        """The application's answer; None if it ended without one."""
        self.answered.clear()
        self.answer = None
        self.events.put_nowait({"type": f"lifespan.{what}"})
        await self.answered.wait()
        return self.answer

    def unsupported(self) -> None:
        if self.mode == "on":
            reason = (
                f"{type(self.error).__name__}: {self.error}" if self.error else "the application returned"
            )
            raise BootError(f"{FAILED}: {reason}")
        if self.error is not None and self.listens:
            self.tell(
                "warning", "The ASGI application raised in its lifespan and is served without one", self.error
            )
        else:
            self.tell("debug", "The ASGI application has no lifespan", self.error)

    async def run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.application(scope, self.receive, self.send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.error = error
        finally:
            self.answered.set()

    async def receive(self) -> dict[str, str]:
        self.listens = True
        return await self.events.get()

    async def send(self, message: dict[str, Any]) -> None:
        known = [
            f"lifespan.{what}.{how}" for what in ("startup", "shutdown") for how in ("complete", "failed")
        ]
        if message["type"] not in known:
            raise RuntimeError(f"unexpected ASGI message '{message['type']}' in a lifespan")
        self.answer = message
        self.answered.set()
