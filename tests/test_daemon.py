"""How a daemon's start ends on the terminal: only when it serves, or with what went wrong."""

import os
import pty
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import fetch
from server import APPS, RWSGI, environment, eventually, free_port, is_gone


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[str]]:
    """Arguments for a pid file and a log; ends the daemon that wrote the first."""
    yield ["-D", "-p", f"{tmp_path}/pid", "--error-logfile", f"{tmp_path}/log"]
    if (tmp_path / "pid").exists():
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: is_gone(pid), "the daemon ends")


def test_the_command_ends_when_the_server_serves(run, files: list[str], tmp_path: Path) -> None:
    (tmp_path / "slow_import.py").write_text("import time\ntime.sleep(1)\nfrom hello import app\n")
    port = free_port()
    arguments = ("-w", "2", "-b", f"127.0.0.1:{port}", "--pythonpath", str(tmp_path), "slow_import:app")
    start = time.monotonic()
    status, _, stderr = run(*files, *arguments)
    assert (status, stderr) == (0, "")
    assert time.monotonic() - start >= 1
    assert fetch(("127.0.0.1", port)).body == b"hello\n"


@pytest.mark.parametrize(("app", "status"), [("not_there:app", 3), ("hello:nope", 4)])
def test_workers_that_do_not_boot(run, files: list[str], tmp_path: Path, app: str, status: int) -> None:
    found, _, stderr = run(*files, "-b", "127.0.0.1:0", app)
    assert found == status
    assert stderr == f"Error: the workers did not boot; see {tmp_path}/log\n"
    assert app.partition(":")[0 if status == 3 else 2] in (tmp_path / "log").read_text()
    assert not (tmp_path / "pid").exists()


def test_an_address_in_use_is_told_on_the_terminal(run, files: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, stderr = run(*files, "-b", f"127.0.0.1:{port}", "hello:app")
    assert status == 1
    assert stderr.startswith(f"Error: Connection in use: ('127.0.0.1', {port}), held by ")
    assert stderr.count("Connection in use") == 1


def test_a_pid_file_that_cannot_be_written_is_told_on_the_terminal(run) -> None:
    status, _, stderr = run("-D", "-p", "/not/there/pid", "-b", "127.0.0.1:0", "hello:app")
    assert status == 1
    assert "/not/there doesn't exist" in stderr


def test_a_preload_that_fails_is_told_on_the_terminal(run) -> None:
    status, _, stderr = run("-D", "--preload", "-b", "127.0.0.1:0", "not_there:app")
    assert status == 3
    assert "No module named 'not_there'" in stderr


def test_a_log_without_a_terminal(run, tmp_path: Path) -> None:
    status, _, stderr = run("-D", "--access-logfile", "-", "-b", "127.0.0.1:0", "not_there:app")
    assert status == 3
    first, *_, last = stderr.splitlines()
    assert first == (
        "Warning: a daemon has no terminal to log to; name a file with --error-logfile and --access-logfile"
    )
    assert last == "Error: the workers did not boot; set --error-logfile to see why"


def test_a_reload_stays_a_daemon(run, files: list[str], tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text("")
    port = free_port()
    assert run(*files, "-c", str(conf), "-b", f"127.0.0.1:{port}", "hello:app")[0] == 0
    conf.write_text("daemon = False\n")
    pid = int((tmp_path / "pid").read_text())
    log = tmp_path / "log"
    os.kill(pid, signal.SIGHUP)
    eventually(lambda: log.read_text().count("Booting worker") == 2, "a new worker")
    assert int((tmp_path / "pid").read_text()) == pid
    assert fetch(("127.0.0.1", port)).body == b"hello\n"


def test_a_terminal_is_let_go_even_when_streams_are_kept(files: list[str], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = [*RWSGI.program, *files, "-R", "-b", f"127.0.0.1:{free_port()}", "hello:app"]
    with os.fdopen(theirs, "wb", buffering=0) as terminal:
        done = subprocess.run(
            arguments, cwd=APPS, env=environment(tmp_path), stdin=terminal, stdout=terminal, stderr=terminal
        )
    os.close(ours)
    assert done.returncode == 0
    pid = (tmp_path / "pid").read_text().strip()
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
