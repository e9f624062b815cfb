"""The servers that are compared: how each is started with one worker, and whether it can be.

Owns their command lines, their versions, and the bare loop in C (limit.c), which is compiled at the start.
Every peer gets what it needs for 1,000 connections and no logs; nothing else is tuned, for rwsgi neither.
A program comes from the virtualenv that runs this, or from the variable PROGRAM_BIN (RWSGI_BIN, ...).
Read next: requirements.txt, where they come from; measure.py.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from compiled import compiled, compiler
from loads import APPS, Load

BIN = Path(sys.prefix) / "bin"


@dataclass(frozen=True)
class Peer:
    """The command is `words`, which get {port}, then `threaded`, which gets {threads}, then `target`."""

    name: str
    package: str
    program: str
    words: str
    # Empty if it has no threads.
    threaded: str = ""
    target: str = "{app}"
    # Answers one constant, whatever the request is.
    constant: bool = False
    # Serves as many requests at a time as there are.
    green: bool = False
    # What kinds of applications it serves.
    interfaces: tuple[str, ...] = ("wsgi",)

    def takes(self, load: Load) -> bool:
        if load.interface not in self.interfaces:
            return False
        able = load.threads == 1 or load.also_without_threads or bool(self.threaded) or self.green
        return able and (load.constant or not self.constant)

    def path(self) -> Path:
        return Path(os.environ.get(f"{self.program.upper()}_BIN") or BIN / self.program)

    def absent(self) -> str:
        """Why it cannot be started, if so."""
        known = not self.package or f"{self.program.upper()}_BIN" in os.environ or self.version()
        return "" if known and self.path().exists() else "not installed"

    def command(self, load: Load, port: int) -> list[str]:
        words = f"{self.words} {self.threaded} {self.target}".format(
            port=port,
            app=load.app,
            threads=load.threads,
            apps=APPS,
            prefix=sys.prefix,
            ending="close" if load.closes else "keep-alive",
        )
        return [str(self.path()), *words.split()]

    def version(self) -> str:
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""


RWSGI = "-b 127.0.0.1:{port} -w 1 --worker-connections 2000 --log-level warning"
GUNICORN = f"{RWSGI} --no-control-socket"
TORNADO = ("wsgi", "tornado")


def gunicorn(kind: str, threaded: str = "", **what: Any) -> Peer:
    return Peer(f"gunicorn {kind}", "gunicorn", "gunicorn", f"-k {kind} {GUNICORN}", threaded, **what)


PEERS = [
    Peer("rwsgi sync", "rwsgi", "rwsgi", RWSGI),
    Peer("rwsgi gthread", "rwsgi", "rwsgi", f"-k gthread {RWSGI}", "--threads {threads}"),
    Peer("rwsgi gevent", "rwsgi", "rwsgi", f"-k gevent {RWSGI}", green=True),
    Peer("rwsgi eventlet", "eventlet", "rwsgi", f"-k eventlet {RWSGI}", green=True),
    Peer("rwsgi tornado", "tornado", "rwsgi", f"-k tornado {RWSGI}", interfaces=TORNADO),
    gunicorn("sync"),
    gunicorn("gthread", "--threads {threads}"),
    gunicorn("gevent", green=True),
    gunicorn("tornado", interfaces=TORNADO),
    Peer(
        "granian",
        "granian",
        "granian",
        "--interface wsgi --host 127.0.0.1 --port {port} --no-access-log --log-level warning",
        "--blocking-threads {threads}",
    ),
    Peer("bjoern", "bjoern", "python", "{apps}/serve_bjoern.py {port}"),
    Peer("fastwsgi", "fastwsgi", "fastwsgi", "--host 127.0.0.1 --port {port} --loglevel 3"),
    # Its keep-alive socket gives a thread to one connection for as long as it lasts: the others would starve.
    Peer(
        "uWSGI",
        "uWSGI",
        "uwsgi",
        "--http-socket 127.0.0.1:{port} --add-header Connection:close --master --need-app --listen 1024 "
        "--disable-logging --home {prefix}",
        "--threads {threads}",
        target="--module {app}",
    ),
    Peer(
        "waitress",
        "waitress",
        "waitress-serve",
        "--listen 127.0.0.1:{port} --connection-limit 2000",
        "--threads {threads}",
    ),
    Peer(
        "cheroot",
        "cheroot",
        "cheroot",
        "--bind 127.0.0.1:{port} --request-queue-size 1024",
        "--threads {threads} --max-threads {threads}",
    ),
]

ASGI = [
    Peer("rwsgi asgi", "rwsgi", "rwsgi", f"-k asgi {RWSGI}", interfaces=("asgi",)),
    Peer(
        "rwsgi asgi asyncio", "rwsgi", "rwsgi", f"-k asgi --asgi-loop asyncio {RWSGI}", interfaces=("asgi",)
    ),
    Peer("gunicorn asgi", "gunicorn", "gunicorn", f"-k asgi {GUNICORN}", interfaces=("asgi",)),
    Peer(
        "uvicorn",
        "uvicorn",
        "uvicorn",
        # The cheapest of its three kinds of WebSockets.
        "--loop uvloop --http httptools --ws websockets-sansio "
        "--host 127.0.0.1 --port {port} --no-access-log --log-level warning",
        interfaces=("asgi",),
    ),
    Peer(
        "granian asgi",
        "granian",
        "granian",
        "--interface asgi --loop uvloop --host 127.0.0.1 --port {port} --no-access-log --log-level warning",
        interfaces=("asgi",),
    ),
]

# What logging costs: the first without, and nobody listens on the port of syslog and statsd.
LOGGING = [
    Peer(name, "rwsgi", "rwsgi", f"{RWSGI} {flags}")
    for name, flags in [
        ("rwsgi sync", ""),
        ("access log", "--access-logfile access"),
        ("JSON log", "--access-logfile access --access-logformat json"),
        ("request id", "--request-id"),
        ("statsd", "--statsd-host 127.0.0.1:9"),
        ("syslog", "--log-syslog --log-syslog-to udp://127.0.0.1:9"),
    ]
]


def limit(directory: Path) -> Peer | None:
    """The bare loop, compiled; None without a compiler."""
    if compiler() is None:
        return None
    program = str(compiled("limit", directory))
    return Peer("limit", "", program, "{port}", target="{ending}", constant=True)
