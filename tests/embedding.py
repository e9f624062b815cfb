"""Fixtures: programs that embed the server, on either of the two.

Owns `embed` (start tests/apps/embedded.py and wait until it listens) and `embed_to_the_end`.
Must never leave a process behind.
Read next: apps/embedded.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import server as servers
from server import APPS, Kind, Running

PROGRAM = APPS / "embedded.py"


class Embedding:
    """One start of the program: its directory is there before the process is."""

    def __init__(self, kind: Kind, parent: Path, program: str) -> None:
        self.kind = replace(kind, program=(sys.executable, str(PROGRAM)), always=())
        self.home = servers.scratch(parent)
        self.port = servers.free_port()
        self.env = {
            "EMBEDDED_SERVER": kind.name,
            "EMBEDDED_HOME": str(self.home),
            "EMBEDDED_PROGRAM": program,
        }

    def configure(self, **options: object) -> None:
        bind = {"bind": f"127.0.0.1:{self.port}"}
        (self.home / "options.json").write_text(json.dumps(bind | options))

    def start(self, arguments: tuple[str, ...]) -> Running:
        process = servers.launch(self.kind, list(arguments), self.home, env=self.env)
        return Running(self.kind, process, ("127.0.0.1", self.port), self.home)


@pytest.fixture
def embed(kind: Kind, tmp_path: Path) -> Iterator[Callable[..., tuple[Running, Embedding]]]:
    started: list[Running] = []

    def embed(program: str = "standalone", **options: object) -> tuple[Running, Embedding]:
        embedding = Embedding(kind, tmp_path, program)
        embedding.configure(**options)
        started.append(embedding.start(()))
        servers.eventually(started[-1].listening, "the server listens")
        return started[-1], embedding

    yield embed
    for running in started:
        running.clean_up()


@pytest.fixture
def embed_to_the_end(kind: Kind, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Exit status, standard output, standard error."""

    def embed(program: str, *arguments: str, **options: object) -> tuple[int, str, str]:
        embedding = Embedding(kind, tmp_path, program)
        embedding.configure(**options)
        running = embedding.start(arguments)
        try:
            status = running.wait_exit(20)
        finally:
            if running.process.poll() is None:
                running.process.kill()
            running.clean_up()
        return status, running.stdout, running.stderr

    return embed
