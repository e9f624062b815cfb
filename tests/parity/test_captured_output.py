"""`--capture-output`: what the processes and their children print goes to the error log's file."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from client import fetch
from server import eventually

APP = """
import os, subprocess, sys

def app(environ, start_response):
    print("printed", environ["PATH_INFO"], flush=True)
    sys.stderr.write("complained\\n")
    sys.stderr.flush()
    os.write(1, b"written\\n")
    subprocess.run(["echo", "echoed"], check=True)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\\n"]
"""


@pytest.fixture
def captured(serve, tmp_path: Path):
    (tmp_path / "shop.py").write_text(APP)
    log = tmp_path / "log"
    server = serve("--capture-output", "--log-file", str(log), app="shop:app", cwd=tmp_path)
    return server, log


def test_everything_is_in_the_file(captured) -> None:
    server, log = captured
    fetch(server.address, "/one")
    for said in ("printed /one\n", "complained\n", "written\n", "echoed\n", "Listening at: "):
        eventually(lambda said=said: said in log.read_text(), said)
    assert server.stdout == server.stderr == ""


def test_a_rotation_moves_it(captured, tmp_path: Path) -> None:
    server, log = captured
    log.rename(tmp_path / "old")
    server.send(signal.SIGUSR1)
    eventually(log.exists, "a new file")
    # The workers reopen after the master.
    eventually(
        lambda: fetch(server.address, "/two") and "echoed\n" in log.read_text(), "output in the new file"
    )


def test_a_log_that_is_no_file_takes_nothing(serve, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    server = serve("--capture-output", app="shop:app", cwd=tmp_path)
    fetch(server.address, "/three")
    eventually(lambda: "echoed\n" in server.stdout, "the output where it always is")
    assert "printed /three\n" in server.stdout
    assert "complained\n" in server.stderr
