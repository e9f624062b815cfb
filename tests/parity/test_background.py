"""The server in the background: what it keeps, what it lets go, and how it is stopped."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from client import fetch
from server import Kind, children, eventually, free_port, is_gone, process_table, run, scratch, title_of

SHOW = """
import json, os
mask = os.umask(0)
os.umask(mask)
def app(environ, start_response):
    streams = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)]
    body = json.dumps({"cwd": os.getcwd(), "streams": streams, "umask": mask}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


class Daemon:
    def __init__(self, home: Path, port: int, printed: tuple[int, str, str]):
        self.home, self.address = home, ("127.0.0.1", port)
        self.status, self.stdout, self.stderr = printed
        file = home / "pid"
        self.pid = int(eventually(lambda: file.exists() and file.read_text(), "the pid file"))
        eventually(self.serves, "it serves")

    def serves(self) -> bool:
        try:
            return fetch(self.address).status == 200
        except OSError:
            return False

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    def ask(self) -> dict:
        return json.loads(fetch(self.address).body)

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        eventually(lambda: is_gone(self.pid), "it ends")


@pytest.fixture
def daemon(kind: Kind, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    (tmp_path / "show.py").write_text(SHOW)
    started: list[Daemon] = []

    def daemon(*arguments: str, env: dict[str, str] | None = None) -> Daemon:
        home, port = scratch(tmp_path), free_port()
        files = ["-p", str(home / "pid"), "--error-logfile", str(home / "log")]
        words = ["-D", *files, "-b", f"127.0.0.1:{port}", *arguments, "show:app"]
        started.append(Daemon(home, port, run(kind, words, home, tmp_path, env)))
        return started[-1]

    yield daemon
    for each in started:
        if title_of_or_nothing(each.pid).startswith(kind.name):
            each.stop()


def title_of_or_nothing(pid: int) -> str:
    try:
        return title_of(pid)
    except OSError:
        return ""


def test_it_leaves_the_terminal(daemon, tmp_path: Path, kind: Kind) -> None:
    server = daemon()
    assert server.status == 0
    assert (server.stdout, server.stderr) == ("", "")
    parent, session, _ = process_table()[server.pid]
    assert session not in (os.getsid(0), server.pid), "a session of its own, which it does not lead"
    assert title_of(server.pid) == kind.title("master", "show:app")
    told = server.ask()
    assert told == {"cwd": str(tmp_path), "streams": ["/dev/null"] * 3, "umask": 0o022}
    assert parent == 1 or title_of(parent), "nobody waits for it"


def test_it_stops(daemon) -> None:
    server = daemon()
    server.stop()
    assert not (server.home / "pid").exists()
    assert "Shutting down: Master" in server.log


def test_it_reloads(daemon) -> None:
    server = daemon()
    os.kill(server.pid, signal.SIGHUP)
    eventually(lambda: server.log.count("Booting worker") == 2, "a new worker")
    assert server.serves()
    assert int((server.home / "pid").read_text()) == server.pid


def test_winch_stops_its_workers(daemon) -> None:
    server = daemon()
    os.kill(server.pid, signal.SIGWINCH)
    eventually(lambda: not children(server.pid), "the workers stop")
    assert not is_gone(server.pid)
    os.kill(server.pid, signal.SIGHUP)
    eventually(server.serves, "a reload brings them back")


def test_inherited_streams(daemon) -> None:
    server = daemon("-R")
    assert server.ask()["streams"] == ["/dev/null", f"{server.home}/stdout", f"{server.home}/stderr"]


def test_notify_socket_is_a_mistake(daemon, tmp_path: Path) -> None:
    assert "systemd" in daemon(env={"NOTIFY_SOCKET": str(tmp_path / "nobody")}).stderr
