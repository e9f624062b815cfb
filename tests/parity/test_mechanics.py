"""Sockets, pid file, environment and directories of the server's processes."""

import json
import os
import signal
import socket
import stat
from pathlib import Path

import pytest
from client import fetch
from server import eventually

SHOW = """
import json, os, sys
def app(environ, start_response):
    body = json.dumps({"cwd": os.getcwd(), "path": sys.path, "env": dict(os.environ)}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def shown(tmp_path: Path):
    """A directory with an application that tells where it runs, and a way to ask it."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "show.py").write_text(SHOW)
    return directory


def ask(server) -> dict:
    return json.loads(fetch(server.address).body)


def test_the_current_directory_is_importable(serve, shown: Path) -> None:
    told = ask(serve(app="show:app", cwd=shown))
    assert told["cwd"] == str(shown)
    assert str(shown) in told["path"]


def test_chdir(serve, shown: Path) -> None:
    told = ask(serve("--chdir", str(shown), app="show:app"))
    assert told["cwd"] == str(shown)


def test_pythonpath(serve, shown: Path, tmp_path: Path) -> None:
    told = ask(serve("--pythonpath", f"{tmp_path},{shown}", app="show:app"))
    assert told["path"].index(str(shown)) < told["path"].index(str(tmp_path))


def test_raw_env(serve, shown: Path) -> None:
    told = ask(serve("-e", "A=1", "--env", "B=x=y", app="show:app", cwd=shown, env={"A": "0"}))
    assert (told["env"]["A"], told["env"]["B"]) == ("1", "x=y")


def test_raw_env_without_a_value(run) -> None:
    status, _, stderr = run("-e", "NOVALUE", "hello:app")
    assert status != 0
    assert "NOVALUE" in stderr


def test_server_software_in_the_environment(serve, shown: Path, kind) -> None:
    assert ask(serve(app="show:app", cwd=shown))["env"]["SERVER_SOFTWARE"].startswith(f"{kind.name}/")


def test_pidfile(serve) -> None:
    server = serve("--pid", "{home}/pid")
    file = server.home / "pid"
    eventually(file.exists, "the pid file")
    assert file.read_text() == f"{server.pid}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert server.stop() == 0
    assert not file.exists()


def test_pidfile_of_a_running_server(serve, run) -> None:
    server = serve("--pid", "{home}/pid")
    eventually((server.home / "pid").exists, "the pid file")
    status, _, stderr = run("-b", "127.0.0.1:0", "--pid", str(server.home / "pid"), "hello:app")
    assert status == 1
    assert f"Already running on PID {server.pid}" in stderr
    assert (server.home / "pid").read_text() == f"{server.pid}\n"


@pytest.mark.parametrize("content", ["999999999\n", "not a pid\n", ""])
def test_stale_pidfile(serve, tmp_path: Path, content: str) -> None:
    file = tmp_path / "stale.pid"
    file.write_text(content)
    server = serve("--pid", str(file))
    eventually(lambda: file.read_text() == f"{server.pid}\n", "the pid file is rewritten")


def test_pidfile_without_a_directory(run) -> None:
    status, _, stderr = run("-b", "127.0.0.1:0", "--pid", "/not/there/pid", "hello:app")
    assert status == 1
    assert "/not/there" in stderr


def test_unix_socket(serve) -> None:
    server = serve(bind="unix")
    assert fetch(server.address).body == b"hello\n"
    server.wait_log(f"Listening at: unix:{server.address}")
    assert stat.S_IMODE(os.stat(server.address).st_mode) == 0o777
    assert server.stop() == 0
    assert not os.path.exists(server.address)


@pytest.mark.parametrize(("umask", "mode"), [("007", 0o770), ("0o77", 0o700), ("63", 0o700)])
def test_umask_of_the_unix_socket(serve, umask: str, mode: int) -> None:
    server = serve("--umask", umask, bind="unix")
    assert stat.S_IMODE(os.stat(server.address).st_mode) == mode


def test_a_stale_unix_socket_is_replaced(serve, tmp_path: Path) -> None:
    path = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = serve("--bind", f"unix:{path}")
    server.wait_log("Listening at")
    assert fetch(str(path)).body == b"hello\n"


def test_a_file_in_the_sockets_place_is_kept(run, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    status, _, _ = run("--bind", f"unix:{path}", "hello:app")
    assert status == 1
    assert path.read_text() == "data"


def test_two_binds(serve) -> None:
    server = serve("--bind", "unix:{home}/second")
    assert fetch(server.address).body == b"hello\n"
    assert fetch(str(server.home / "second")).body == b"hello\n"


@pytest.mark.parametrize(
    "bind", ["127.0.0.1:{port}", "tcp://127.0.0.1:{port}", "localhost:{port}", ":{port}"]
)
def test_forms_of_bind(serve, bind: str) -> None:
    assert fetch(serve("--bind", bind, bind=None).address).body == b"hello\n"


def test_ipv6(serve) -> None:
    server = serve("--bind", "[::1]:{port}", "--bind", "127.0.0.1:{port}", bind=None)
    with socket.create_connection(("::1", server.address[1]), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200 OK")
    server.wait_log(f"http://[::1]:{server.address[1]}")


def test_an_address_in_use(run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, stderr = run("-b", f"127.0.0.1:{port}", "hello:app")
    assert status == 1
    assert f"Connection in use: ('127.0.0.1', {port})" in stderr


def test_nothing_is_left_in_the_workers(serve) -> None:
    """A client's connection is closed in the worker when its response is sent."""
    server = serve()
    (worker,) = server.wait_workers(1)
    fetch(server.address)
    before = len(os.listdir(f"/proc/{worker}/fd"))
    for _ in range(20):
        fetch(server.address)
    eventually(lambda: len(os.listdir(f"/proc/{worker}/fd")) <= before, "descriptors are closed")


def test_stop_while_booting(serve, tmp_path: Path) -> None:
    (tmp_path / "slow_import.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(20)\n")
    server = serve("--graceful-timeout", "1", app="slow_import:app", cwd=tmp_path)
    eventually(lambda: "importing" in server.stdout, "the import begins")
    assert server.stop(signal.SIGTERM) == 0


@pytest.mark.better("`worker_tmp_dir` is not used, so a directory that is missing stops nothing.")
def test_a_worker_tmp_dir_that_is_not_there(serve) -> None:
    assert fetch(serve("--worker-tmp-dir", "/not/there").address).body == b"hello\n"
