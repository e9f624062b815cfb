"""What a service manager hears: ready when ready, reloads, stops, the watchdog. Applications do not."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import DEADLINE, fetch
from server import eventually, is_gone

SLOW = """
import os, time
time.sleep(1)
for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
    assert name not in os.environ, name
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"slow"]
"""


class Manager:
    """The receiving end of sd_notify(3)."""

    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.socket.settimeout(DEADLINE)
        self.path = path

    def hears(self, wanted: str) -> None:
        """Waits for a message whose first line is `wanted`; other news may come before it."""
        while True:
            message = self.socket.recv(4096).decode()
            if message.split("\n")[0] == wanted:
                return
            assert message.startswith(("STATUS=", "WATCHDOG=1")), message

    def hears_status(self, text: str) -> None:
        while text not in (message := self.socket.recv(4096).decode()):
            assert message.startswith(("STATUS=", "WATCHDOG=1")), message


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = (
        f"@rwsgi-{os.getpid()}-{request.node.name}" if request.param == "abstract" else f"{tmp_path}/notify"
    )
    manager = Manager(name)
    yield manager
    manager.socket.close()


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    (tmp_path / "slow_import.py").write_text(SLOW)
    return tmp_path


def test_ready_reloading_and_stopping(serve, slow: Path, manager: Manager) -> None:
    server = serve("-w", "2", app="slow_import:app", cwd=slow, env={"NOTIFY_SOCKET": manager.path})
    manager.hears("READY=1")
    before = server.wait_workers(2)
    assert fetch(server.address).body == b"slow"
    server.send(signal.SIGHUP)
    manager.hears("RELOADING=1")
    manager.hears("READY=1")
    server.wait_workers(2, unlike=before)
    server.send(signal.SIGTERM)
    manager.hears("STOPPING=1")
    assert server.wait_exit() == 0


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_ready_comes_after_the_application_is_loaded(serve, slow: Path, manager: Manager) -> None:
    manager.socket.settimeout(0.5)
    serve(app="slow_import:app", cwd=slow, env={"NOTIFY_SOCKET": manager.path})
    # Half of the time that the import takes: nothing may be said of being ready.
    with pytest.raises(TimeoutError):
        manager.hears("READY=1")
    manager.socket.settimeout(DEADLINE)
    manager.hears("READY=1")


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_the_variables_are_gone_before_a_preload_too(serve, slow: Path, manager: Manager) -> None:
    watchdog = {"WATCHDOG_USEC": "400000", "NOTIFY_SOCKET": manager.path}
    server = serve("--preload", app="slow_import:app", cwd=slow, env=watchdog)
    manager.hears("READY=1")
    for _ in range(3):
        manager.hears("WATCHDOG=1")
    manager.hears_status("1 worker, ")
    assert server.stop() == 0


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_a_new_master_becomes_the_main_process(serve, manager: Manager) -> None:
    server = serve("-p", "{home}/pid", env={"NOTIFY_SOCKET": manager.path})
    manager.hears("READY=1")
    new = server.upgrade(1)
    manager.hears("READY=1")
    server.send(signal.SIGTERM)
    manager.hears(f"MAINPID={new}")
    assert server.wait_exit() == 0
    os.kill(new, signal.SIGTERM)
    manager.hears("STOPPING=1")
    eventually(lambda: is_gone(new), "the new master ends")


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_a_reload_with_preload_is_bracketed_too(serve, slow: Path, manager: Manager) -> None:
    server = serve("--preload", app="slow_import:app", cwd=slow, env={"NOTIFY_SOCKET": manager.path})
    manager.hears("READY=1")
    before = server.wait_workers(1)
    server.send(signal.SIGHUP)
    manager.hears("RELOADING=1")
    manager.hears("READY=1")
    server.wait_workers(1, unlike=before)
    assert server.stop() == 0


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_a_manager_that_goes_away_costs_nothing(serve, manager: Manager) -> None:
    server = serve(env={"NOTIFY_SOCKET": manager.path})
    manager.socket.close()
    os.unlink(manager.path)
    server.send(signal.SIGHUP)
    server.wait_log("Booting worker", 2)
    assert fetch(server.address).body == b"hello\n"
    assert server.stop() == 0
