"""An address that cannot be listened on: told at once, with who has it, and tried again only on request."""

import os
import socket
import time
from pathlib import Path

import pytest
import server as servers
from client import fetch


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_a_port_in_use_is_told_at_once_and_once_with_its_holder(run, taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    start = time.monotonic()
    status, _, stderr = run("-b", f"127.0.0.1:{port}", "hello:app")
    assert time.monotonic() - start < 3
    assert status == 1
    name = Path("/proc/self/comm").read_text().strip()
    said = f"Connection in use: ('127.0.0.1', {port}), held by {name} (pid {os.getpid()})"
    assert said in stderr
    assert stderr.count(str(port)) == 1


def test_the_holder_is_the_master_and_not_a_worker(serve, run) -> None:
    server = serve("-w", "2")
    server.wait_workers(2)
    status, _, stderr = run("-b", f"127.0.0.1:{server.address[1]}", "hello:app")
    assert status == 1
    assert f"held by rwsgi:master (pid {server.pid})" in stderr


def test_bind_retries_wait_for_the_port(tmp_path: Path, taken: socket.socket) -> None:
    home = servers.scratch(tmp_path)
    address = taken.getsockname()
    arguments = ["-b", f"127.0.0.1:{address[1]}", "--retry-bind", "9", "hello:app"]
    server = servers.Running(servers.RWSGI, servers.launch(servers.RWSGI, arguments, home), address, home)
    try:
        server.wait_log("Trying again in 1 s (9 left)")
        taken.close()
        server.wait_log("Listening at")
        assert fetch(address).body == b"hello\n"
        assert server.stop() == 0
    finally:
        server.clean_up()


def test_bind_retries_come_to_an_end(run, taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    status, _, stderr = run("-b", f"127.0.0.1:{port}", "--retry-bind", "1", "hello:app")
    assert status == 1
    assert stderr.count(f"Connection in use: ('127.0.0.1', {port})") == 2
    assert stderr.count("Trying again") == 1


def test_a_port_in_use_with_an_error_log_is_told_on_the_terminal_too(run, tmp_path: Path, taken) -> None:
    port = taken.getsockname()[1]
    log = tmp_path / "error.log"
    status, _, stderr = run("-b", f"127.0.0.1:{port}", "--error-logfile", str(log), "hello:app")
    assert status == 1
    assert stderr.startswith(f"Error: Connection in use: ('127.0.0.1', {port})")
    assert "Connection in use" in log.read_text()
