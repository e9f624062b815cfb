"""A headless Chromium with one page, driven by its own debugging protocol.

Owns the process, its empty profile, and the condition under which tests of it are skipped. Must never leave
a process behind, nor visit anything but loopback. Read next: test_browser.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from client import DEADLINE
from server import environment, eventually
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
# The page is our own, so it needs no sandbox, which root would not get; and nothing else is to be fetched.
# A page that is left would else be kept, for going back, with its WebSocket open.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-extensions", "--disable-features=BackForwardCache", "--no-proxy-server"),
    "--remote-debugging-port=0",
)


class Page:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.number = 0

    def command(self, method: str, **parameters: object) -> dict:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv(timeout=DEADLINE))
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def visit(self, url: str) -> None:
        outcome = self.command("Page.navigate", url=url)
        assert "errorText" not in outcome, outcome

    def run(self, script: str) -> object:
        """What the expression amounts to on the page."""
        outcome = self.command("Runtime.evaluate", expression=script)
        assert "exceptionDetails" not in outcome, outcome
        return outcome["result"].get("value")

    def text(self, selector: str) -> str:
        """What a reader sees of an element; nothing while it is not there."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))


def debugged_page(process: subprocess.Popen[bytes], profile: Path) -> str:
    """The address of the protocol for the one page, once Chromium has written its port down."""

    def port() -> str | None:
        assert process.poll() is None, (profile / "log").read_text()
        with contextlib.suppress(OSError):
            lines = (profile / "data" / "DevToolsActivePort").read_text().splitlines()
            return lines[0] if len(lines) == 2 else None

    def pages(port: str) -> list[str]:
        targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
        return [target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"]

    found = eventually(port, "Chromium is debugged", 30)
    return eventually(lambda: pages(found), "Chromium has a page")[0]


def end(process: subprocess.Popen[bytes]) -> None:
    """Its helpers are in its process group."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(DEADLINE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(DEADLINE)


@contextmanager
def browsing(profile: Path) -> Iterator[Page]:
    """`profile`: an empty directory."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile / 'data'}", "about:blank"],
            env=environment(profile),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        with connect(debugged_page(process, profile), max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        end(process)
