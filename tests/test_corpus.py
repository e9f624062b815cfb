"""The request corpus over a socket, to rwsgi and to gunicorn's default worker: the first request.

A difference is allowed where the case says so (`gunicorn:`) and why (`why:`), and only while it is
there. Every split is http_corpus.rs's business. Must never compare anything but what both servers told.
Read next: corpus_cases.py, corpus/README.md.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import DEADLINE
from corpus_cases import DOCUMENT, Case, cases, differences
from server import GUNICORN, RWSGI, Kind, Running

CASES = cases()
INTERIM = re.compile(rb"(?:HTTP/1\.1 100 Continue\r\n\r\n)*")
STATUS = re.compile(rb"(HTTP/[0-9]\.[0-9]) ([0-9]{3}) ")
# A status, or what a request that was served told the application.
Outcome = str | dict[str, str]


def ask(server: Running, data: bytes) -> Outcome:
    """Sends all of `data` and no more; what came back until the server closed."""
    received = b""
    with socket.create_connection(server.address, DEADLINE) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while block := connection.recv(65536):
                received += block
        except (BrokenPipeError, ConnectionResetError):
            # It closed under what was still to be sent.
            pass
    return outcome(received)


def outcome(received: bytes) -> Outcome:
    received = INTERIM.sub(b"", received, count=1)
    if not received:
        return "closed"
    status = STATUS.match(received)
    assert status, received
    if status[2] != b"200":
        return status[2].decode()
    body = received.partition(b"\r\n\r\n")[2]
    return {**json.loads(body or b"{}"), "answer": status[1].decode()}


def difference(theirs: Outcome, ours: Outcome) -> str:
    """What gunicorn makes of it, in the words of `gunicorn:`; empty if it is the same."""
    if isinstance(theirs, str) or isinstance(ours, str):
        short = [told if isinstance(told, str) else "200" for told in (theirs, ours)]
        return short[0] if short[0] != short[1] else ""
    keys = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
    return ", ".join(f"{key}={theirs[key]!r}" if key in theirs else f"no {key}" for key in keys)


class Servers:
    """One server for each kind and command line."""

    def __init__(self, serve_as: Callable[[Kind], Callable[..., Running]]):
        wanted = {(kind, case.arguments(kind.name)) for case in CASES for kind in (GUNICORN, RWSGI)}
        with ThreadPoolExecutor(4) as pool:
            running = {
                (kind, arguments): pool.submit(serve_as(kind), *arguments, app="told:app")
                for kind, arguments in sorted(wanted, key=repr)
            }
        self.running = {key: future.result() for key, future in running.items()}

    def ask(self, kind: Kind, case: Case) -> Outcome:
        return ask(self.running[kind, case.arguments(kind.name)], case.data)


@pytest.fixture(scope="module")
def servers(serve_as: Callable[[Kind], Callable[..., Running]]) -> Servers:
    return Servers(serve_as)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}: {case.title}")
def test_case(servers: Servers, case: Case) -> None:
    theirs, ours = servers.ask(GUNICORN, case), servers.ask(RWSGI, case)
    # A case that waits for more has no end; on a socket that is for the client to say.
    if case.expected[-1] != "need":
        assert ("200" if isinstance(ours, dict) else ours) == case.ours
    assert difference(theirs, ours) == case.gunicorn


def test_there_is_a_reason_for_each_difference() -> None:
    for case in CASES:
        assert bool(case.gunicorn) == bool(case.why), case.title
        assert not case.why or case.why.endswith("."), case.title


def test_the_document_is_current() -> None:
    text = differences()
    if os.environ.get("RWSGI_REGENERATE"):
        DOCUMENT.write_text(text)
    assert DOCUMENT.exists() and DOCUMENT.read_text() == text, f"{DOCUMENT.name} is stale: run `make docs`"
