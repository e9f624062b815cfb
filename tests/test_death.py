"""What rwsgi says of a death, and what it does when workers, forks or the master itself fail."""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from client import fetch
from server import APPS, Running, eventually

# Nobody else runs anything as this user.
UNPRIVILEGED = 61234


@pytest.mark.parametrize("target", ["/segfault", "/abort", "/signal?9", "/signal?36", "/exit?3"])
def test_the_log_names_the_request_that_was_cut_off(serve, target: str) -> None:
    server = serve(app="dying:app")
    (worker,) = server.wait_workers(1)
    with pytest.raises((AssertionError, OSError)):
        fetch(server.address, target)
    log = server.wait_log(f"Worker (pid:{worker}) ")
    serving = re.escape(target.partition("?")[0])
    assert re.search(rf"Worker \(pid:{worker}\) .* It was serving GET {serving}\S* for \d+\.\d s\.", log), log


@pytest.mark.parametrize("target", ["/segfault", "/abort"])
def test_a_crash_leaves_its_stack_in_the_log(serve, target: str) -> None:
    server = serve(app="dying:app")
    with pytest.raises((AssertionError, OSError)):
        fetch(server.address, target)
    server.wait_log(f'dying.py", line {line_of("def " + target[1:]) + 1} in {target[1:]}')


def line_of(text: str) -> int:
    lines = (APPS / "dying.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(text))


def test_idle_workers_leave_at_once_when_the_master_is_killed(serve) -> None:
    server = serve("-w", "3")
    server.wait_workers(3)
    server.wait_log("Booting worker with pid", 3)
    fetch(server.address)
    server.process.kill()
    server.wait_exit()
    eventually(lambda: not server.descendants(), "the workers are gone", 1.5)
    with socket.socket() as successor:
        successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        successor.bind(server.address)


def test_a_busy_worker_answers_when_the_master_is_killed(serve) -> None:
    server = serve(app="slow:app")
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(fetch, server.address, "/x?1.5")
        server.wait_log("started /x")
        server.process.kill()
        assert response.result().body == b"hello\n"
    server.wait_exit()
    eventually(lambda: not server.descendants(), "the worker is gone", 2)


def unprivileged() -> tuple[str, ...]:
    """What to run the server under so that RLIMIT_NPROC binds it: root is exempt."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    parents = [Path(sys.prefix), *APPS.resolve().parents]
    if setpriv and all(path.stat().st_mode & 0o5 == 0o5 for path in parents):
        under = (setpriv, f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups")
        if (
            subprocess.run(
                [*under, sys.executable, "-c", "import rwsgi"], stderr=subprocess.DEVNULL
            ).returncode
            == 0
        ):
            return under
    pytest.skip("root is exempt from the limit, and another user cannot run the program")


def limit_processes(server: Running, soft: int) -> None:
    """Asked by a process of the server's own user, for which no privilege is needed."""
    command = ["prlimit", f"--pid={server.pid}", f"--nproc={'unlimited' if soft < 0 else soft}:"]
    subprocess.run([*unprivileged(), *command], check=True)


def test_a_failing_fork_is_told_and_tried_again(serve) -> None:
    server = serve("-w", "2", under=unprivileged())
    before = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    fetch(server.address)
    limit_processes(server, 0)
    os.kill(before[0], signal.SIGKILL)
    server.wait_log("[ERROR] Cannot fork a worker: ")
    assert fetch(server.address).status == 200
    assert server.workers() == before[1:]
    limit_processes(server, resource.getrlimit(resource.RLIMIT_NPROC)[0])
    server.wait_workers(2, unlike=before[:1])
    assert fetch(server.address).status == 200
    assert server.stderr.count("Cannot fork") < 5


def test_workers_that_leave_as_soon_as_they_serve_are_no_crash_loop(serve) -> None:
    """Exit status 0 after a request is a whole life, however short it was."""
    server = serve("-w", "8", app="slow:exits")
    server.wait_workers(8)
    deadline = time.monotonic() + 3

    def end_workers() -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError, OSError):
                fetch(server.address, "/?0")

    with ThreadPoolExecutor(8) as pool:
        for client in [pool.submit(end_workers) for _ in range(8)]:
            client.result()
    assert server.stderr.count("Booting worker") > 50
    assert "keep dying" not in server.stderr


@pytest.fixture
def fragile(serve, tmp_path: Path):
    """Four workers that die soon after they are ready, for as long as there is a file `sick`."""
    (tmp_path / "fragile.py").write_text(
        "import os, threading\n"
        "from hello import app\n"
        "if os.path.exists(__file__ + '.sick'):\n"
        "    threading.Timer(0.2, os._exit, [9]).start()\n"
    )
    sick = tmp_path / "fragile.py.sick"
    sick.touch()
    server = serve("-w", "4", "--pythonpath", str(APPS), app="fragile:app", cwd=tmp_path)
    return server, sick


def test_a_crash_loop_is_slowed(fragile: tuple[Running, Path]) -> None:
    server, sick = fragile
    server.wait_log("Workers keep dying: next one in ")
    deaths = server.stderr.count("exited with code 9.")
    time.sleep(2)  # the thing under test is that little happens
    assert server.stderr.count("exited with code 9.") - deaths <= 12
    sick.unlink()
    eventually(lambda: len(set(server.workers())) == 4, "all workers are back", 20)
    workers = server.wait_workers(4)
    assert fetch(server.address).status == 200
    assert server.workers() == workers
    assert server.stop() == 0


def test_a_stop_does_not_wait_for_the_pause_of_a_crash_loop(fragile: tuple[Running, Path]) -> None:
    server, _ = fragile
    server.wait_log("Workers keep dying: next one in 2.0 s")
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 1.5


def test_signals_do_not_cut_the_exit_short(serve, tmp_path: Path) -> None:
    """Python gives its handlers up while it ends; what runs at exit is the application's all the same."""
    (tmp_path / "leaving.py").write_text(
        "import atexit, pathlib, time\n"
        "from hello import app\n"
        "def leave():\n"
        "    pathlib.Path('leaving').touch()\n"
        "    while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        "    pathlib.Path('left').touch()\n"
        "atexit.register(leave)\n"
    )
    server = serve(app="leaving:app", cwd=tmp_path, env={"PYTHONPATH": str(APPS)})
    (worker,) = server.wait_workers(1)
    fetch(server.address)
    os.kill(worker, signal.SIGTERM)
    eventually((tmp_path / "leaving").exists, "the worker is leaving")
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, signal.SIGTTIN, signal.SIGWINCH):
        os.kill(worker, number)
    (tmp_path / "go").touch()
    eventually((tmp_path / "left").exists, "the exit is whole")
    assert "was sent" not in server.stderr
