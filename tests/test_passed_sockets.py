"""Listening sockets that whoever starts the server passes to it: systemd's variables, and `fd://`."""

import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from client import fetch
from server import APPS, RWSGI, Kind, Running, environment, eventually, free_port, launch, scratch

# Opens what SOCKETS says (name=port, or name=kind) at descriptors from 3 on, and becomes the server.
LAUNCHER = """
import os, socket, sys
opened, names = [], []
for pair in os.environ.pop("SOCKETS").split():
    name, what = pair.split("=")
    end = socket.socket(type=socket.SOCK_DGRAM if what == "udp" else socket.SOCK_STREAM)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.bind(("127.0.0.1", int(what) if what.isdecimal() else 0))
    if what.isdecimal():
        end.listen()
    opened.append(os.open("/dev/null", os.O_RDONLY) if what == "file" else end.detach())
    names.append(name)
for offset, fd in enumerate([os.dup2(fd, 100 + offset) for offset, fd in enumerate(opened)]):
    os.dup2(fd, 3 + offset)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(opened)), LISTEN_FDNAMES=":".join(names))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="session")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    launcher = tmp_path_factory.mktemp("launcher") / "launcher.py"
    launcher.write_text(LAUNCHER)
    return replace(RWSGI, program=(sys.executable, str(launcher), *RWSGI.program))


def test_all_are_used_when_none_is_chosen(serve) -> None:
    ports = free_port(), free_port()
    env = {"SOCKETS": f"web={{port}} admin={ports[0]} admin={ports[1]}"}
    server = serve("-b", "127.0.0.1:1", bind=None, env=env)
    for port in (server.address[1], *ports):
        assert fetch(("127.0.0.1", port)).body == b"hello\n"
    assert server.stop() == 0


@pytest.mark.parametrize("chosen", ["fd://web", "fd://4"])
def test_one_is_chosen_by_name_or_number(serve, chosen: str) -> None:
    other = free_port()
    server = serve("-b", chosen, bind=None, env={"SOCKETS": f"admin={other} web={{port}}"})
    log = server.wait_log("Listening at")
    assert fetch(server.address).body == b"hello\n"
    assert f"Listening at: http://127.0.0.1:{server.address[1]} (" in log


def test_a_passed_socket_outlives_the_server(tmp_path: Path) -> None:
    """It belongs to whoever passed it, and the next server gets it as it was."""
    with socket.create_server(("127.0.0.1", 0)) as passed:
        passed.set_inheritable(True)
        for _ in range(2):
            command = [*RWSGI.program, "-b", f"fd://{passed.fileno()}", "hello:app"]
            env = environment(tmp_path)
            with subprocess.Popen(
                command, cwd=APPS, env=env, close_fds=False, stderr=subprocess.DEVNULL
            ) as server:
                try:
                    assert fetch(passed.getsockname()).body == b"hello\n"
                finally:
                    server.terminate()
            assert server.returncode == 0


def test_a_name_that_nothing_has_is_refused(run) -> None:
    status, _, stderr = run("-b", "fd://admin", "hello:app", env={"SOCKETS": f"web={free_port()}"})
    assert status == 1
    assert "Cannot listen on fd://admin: no socket of that name was passed" in stderr


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("file", "descriptor 3 is not a socket"),
        ("udp", "descriptor 3 is not a listening stream socket"),
        ("bound", "descriptor 3 is not a listening stream socket"),
    ],
)
def test_what_does_not_listen_is_refused(run, what: str, said: str) -> None:
    status, _, stderr = run("hello:app", env={"SOCKETS": f"web={what}"})
    assert status == 1
    assert f"Cannot listen on fd://3: {said}" in stderr


def test_a_number_that_is_not_open_is_refused(run) -> None:
    status, _, stderr = run("-b", "fd://77", "hello:app", env={"SOCKETS": f"web={free_port()}"})
    assert status == 1
    assert "descriptor 77 is not open" in stderr


def test_the_terminal_is_not_closed_for_being_no_socket(run) -> None:
    status, _, stderr = run("-b", "fd://2", "hello:app", env={"SOCKETS": f"web={free_port()}"})
    assert status == 1
    assert "descriptor 2 is not a socket" in stderr


class TestSystemd:
    """systemd's own tool in the launcher's place: it starts the server when somebody connects."""

    @pytest.fixture
    def kind(self, tmp_path: Path) -> Kind:
        tool = shutil.which("systemd-socket-activate")
        if not tool:
            pytest.skip("systemd-socket-activate is not installed")
        self.port = free_port()
        listen = f"127.0.0.1:{self.port}"
        return replace(RWSGI, program=(tool, "-l", listen, "--fdname", "web", *RWSGI.program))

    @pytest.mark.parametrize("arguments", [[], ["-b", "fd://web"]])
    def test_activation(self, kind: Kind, tmp_path: Path, arguments: list[str]) -> None:
        home, address = scratch(tmp_path), ("127.0.0.1", self.port)
        server = Running(kind, launch(kind, [*arguments, "hello:app"], home), address, home)
        try:
            eventually(server.listening, "systemd listens")
            assert fetch(address).body == b"hello\n"
            assert f"Listening at: http://127.0.0.1:{self.port} ({server.pid})" in server.stderr
            assert server.stop() == 0
        finally:
            server.clean_up()
