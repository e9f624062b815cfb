"""Starts, watches and stops a real server process.

Owns the two servers the tests know (gunicorn and rwsgi: what differs in their names), the process started in
a session of its own, its output, and the deadlines. Must never signal a process it did not start, nor wait
without a deadline.
Read next: conftest.py, the fixtures made of this.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from client import DEADLINE, Address

HERE = Path(__file__).parent
APPS = HERE / "apps"
T = TypeVar("T")
GIVEN_PORTS: set[int] = set()


@dataclass(frozen=True)
class Kind:
    """A server, and the words in which it differs from the other one."""

    name: str
    program: tuple[str, ...]
    # Arguments every start gets: gunicorn's control socket would live in a directory all tests share.
    always: tuple[str, ...] = ()

    @property
    def command_arguments_variable(self) -> str:
        return f"{self.name.upper()}_CMD_ARGS"

    @property
    def config_file(self) -> str:
        return f"{self.name}.conf.py"

    def title(self, role: str, name: str) -> str:
        return f"{self.name}: {role} [{name}]"


def executable(name: str) -> str:
    return os.environ.get(f"{name.upper()}_BIN") or str(Path(sys.prefix) / "bin" / name)


GUNICORN = Kind("gunicorn", (executable("gunicorn"),), always=("--no-control-socket",))
# Arguments for every start of rwsgi, to run the suite on another worker class.
RWSGI = Kind("rwsgi", (executable("rwsgi"),), always=tuple(os.environ.get("RWSGI_ARGUMENTS", "").split()))
KINDS = {kind.name: kind for kind in (GUNICORN, RWSGI)}


def eventually(condition: Callable[[], T], what: str, timeout: float = DEADLINE) -> T:
    """The first true value of `condition`; fails with `what` when the deadline passes."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.01)


def free_port() -> int:
    """A port that was not given before: servers that start at the same time must not meet."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in GIVEN_PORTS:
            GIVEN_PORTS.add(port)
            return port


def process_table() -> dict[int, tuple[int, int, str]]:
    """pid → (parent, session, state) of every process."""
    table = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            state, parent, _group, session = stat.rpartition(")")[2].split()[:4]
            table[int(entry.name)] = (int(parent), int(session), state)
    return table


def children(pid: int) -> list[int]:
    """The live ones, in order."""
    table = process_table()
    return sorted(child for child, (parent, _, state) in table.items() if parent == pid and state not in "ZX")


def is_gone(pid: int) -> bool:
    """It has ended, whoever may have to reap it."""
    return process_table().get(pid, (0, 0, "Z"))[2] in "ZX"


def title_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()


def environment(home: Path, extra: dict[str, str] | None = None) -> dict[str, str]:
    """A clean environment: nothing of the caller's can change a setting."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    clean = {"HOME": str(home), "VIRTUAL_ENV": sys.prefix, "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | clean | (extra or {})


@dataclass
class Running:
    """A server that was started. `home` is its scratch directory, with its output in it."""

    kind: Kind
    process: subprocess.Popen[bytes]
    address: Address
    home: Path
    # The master that USR2 started, from when the test counts it as the one in charge.
    successor: int | None = None

    @property
    def pid(self) -> int:
        return self.successor or self.process.pid

    @property
    def stdout(self) -> str:
        return (self.home / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.home / "stderr").read_text()

    def workers(self) -> list[int]:
        return children(self.pid)

    def wait_workers(self, count: int, unlike: list[int] | None = None) -> list[int]:
        """Waits until there are just `count` workers, none of them in `unlike`."""

        def settled() -> list[int] | bool:
            if is_gone(self.pid):
                raise AssertionError(f"it has exited ({self.process.poll()}):\n{self.stderr}")
            workers = self.workers()
            return len(workers) == count and not set(workers) & set(unlike or []) and workers

        what = f"{count} workers, none of {unlike or []}: {self.workers()}\n{self.stderr}"
        return eventually(settled, what) if count else []

    def wait_log(self, text: str, count: int = 1, timeout: float = DEADLINE) -> str:
        """The standard error, once `text` is in it `count` times."""
        deadline = time.monotonic() + timeout
        while self.stderr.count(text) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"no {text!r} ({count} times) within {timeout} s in:\n{self.stderr}")
            time.sleep(0.01)
        return self.stderr

    def send(self, number: signal.Signals) -> None:
        if self.successor:
            os.kill(self.successor, number)
        else:
            self.process.send_signal(number)

    def upgrade(self, count: int) -> int:
        """Sends USR2; the new master, once `{home}/pid.2` names it and it has `count` workers of its own."""
        self.send(signal.SIGUSR2)
        path = self.home / "pid.2"

        def started() -> int | None:
            new = int((path.exists() and path.read_text()) or 0)
            # One that was killed has left its file.
            return None if is_gone(new) else new

        new = eventually(started, f"the new master's pid\n{self.stderr}")
        eventually(lambda: len(children(new)) == count, f"workers of the new master\n{self.stderr}")
        return new

    def wait_exit(self, timeout: float = DEADLINE) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s:\n{self.stderr}") from None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.send(number)
        return self.wait_exit()

    def listening(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"exited with {self.process.returncode}:\n{self.stdout}{self.stderr}")
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        with socket.socket(family) as probe:
            return probe.connect_ex(self.address) == 0

    def descendants(self) -> list[int]:
        return [
            pid
            for pid, (_, session, state) in process_table().items()
            if session == self.process.pid and state != "Z"
        ]

    def clean_up(self) -> None:
        """Ends whatever is left of it, and fails when it did not end by itself."""
        stuck = False
        if self.successor in self.descendants():
            self.send(signal.SIGTERM)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                stuck = True
        left = self.descendants()
        if left and not stuck:
            deadline = time.monotonic() + 3
            while left and time.monotonic() < deadline:
                time.sleep(0.05)
                left = self.descendants()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        assert not stuck and not left, f"left behind: {left}\n{self.stderr}"


def launch(
    kind: Kind,
    arguments: list[str],
    home: Path,
    cwd: Path = APPS,
    env: dict[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Starts the program with its output in `home`; waits for nothing."""
    with (home / "stdout").open("wb") as out, (home / "stderr").open("wb") as err:
        return subprocess.Popen(
            [*kind.program, *kind.always, *arguments],
            cwd=cwd,
            env=environment(home, env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=pass_fds,
        )


def run(
    kind: Kind, arguments: list[str], home: Path, cwd: Path = APPS, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Runs the program to its end: exit status, standard output, standard error."""
    server = Running(kind, launch(kind, arguments, home, cwd, env), "", home)
    try:
        status = server.wait_exit(20)
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.clean_up()
    return status, server.stdout, server.stderr


def scratch(parent: Path) -> Path:
    """A new directory for one start."""
    number = len(list(parent.glob("server-*")))
    home = parent / f"server-{number}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    return home
