"""Standard streams that are closed, and logs and pid files that cannot be written: requests are served."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from client import fetch
from server import RWSGI, Running, eventually, free_port, launch, scratch

NOISY = """
import sys
def app(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("noise\\n")
    errors.write("\\udcff half a pair\\n")
    errors.writelines(["more ", "noise\\n"])
    errors.flush()
    print("noise", file=errors)
    start_response("200 OK", [("Content-Length", "6")])
    return [b"quiet\\n"]
"""


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    (tmp_path / "noisy.py").write_text(NOISY)
    return tmp_path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one page."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> None:
    (disk / "filler").write_bytes(b"x" * 4096)


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_not_given_to_sockets(tmp_path: Path, noisy: Path, closed: str) -> None:
    shell = replace(RWSGI, program=("/bin/sh", "-c", f'exec "$@" {closed}', "sh", *RWSGI.program))
    home, address = scratch(tmp_path), ("127.0.0.1", free_port())
    logs = ["--error-logfile", str(home / "log"), "--access-logfile", "-"]
    words = [*logs, "-b", f"127.0.0.1:{address[1]}", "noisy:app"]
    server = Running(shell, launch(shell, words, home, noisy), address, home)
    try:
        eventually(server.listening, "the server listens")
        assert fetch(address).body == b"quiet\n"
        (worker,) = server.wait_workers(1)
        for pid in (server.pid, worker):
            assert not [fd for fd in range(3) if "socket" in os.readlink(f"/proc/{pid}/fd/{fd}")]
        assert server.stop() == 0
        assert "noise\n" in (home / "log").read_text()
    finally:
        server.clean_up()


def test_full_disks_cost_lines_and_no_request(serve, noisy: Path) -> None:
    server = serve(
        "--error-logfile", "/dev/full", "--access-logfile", "/dev/full", app="noisy:app", cwd=noisy
    )
    for _ in range(3):
        assert fetch(server.address).body == b"quiet\n"
    server.send(signal.SIGHUP)
    server.send(signal.SIGUSR1)
    assert fetch(server.address).body == b"quiet\n"
    assert server.stop() == 0


def test_a_pipe_that_nobody_reads_costs_lines_and_no_request(tmp_path: Path, noisy: Path) -> None:
    head = 'exec "$@" 2>&1 >/dev/null | head -n 1'
    shell = replace(RWSGI, program=("/bin/bash", "-c", f"{head}; exit 0", "bash", *RWSGI.program))
    home, address = scratch(tmp_path), ("127.0.0.1", free_port())
    pid = home / "pid"
    words = ["-p", str(pid), "-b", f"127.0.0.1:{address[1]}", "noisy:app"]
    server = Running(shell, launch(shell, words, home, noisy), address, home)
    try:
        eventually(lambda: pid.exists() and server.listening(), "the server listens")
        for _ in range(3):
            assert fetch(address).body == b"quiet\n"
        os.kill(int(pid.read_text()), signal.SIGTERM)
        assert server.wait_exit() == 0
        assert not pid.exists()
    finally:
        server.clean_up()


def test_a_reader_that_does_not_read_costs_lines_and_no_request(tmp_path: Path) -> None:
    home, address = scratch(tmp_path), ("127.0.0.1", free_port())
    reader, writer = os.pipe()
    # As a log collector that hangs.
    into = ("/bin/bash", "-c", f'exec "$@" >&{writer}', "bash")
    words = ["-b", f"127.0.0.1:{address[1]}", "--access-logfile", "-", "hello:app"]
    process = launch(replace(RWSGI, program=(*into, *RWSGI.program)), words, home, pass_fds=(writer,))
    os.close(writer)
    server = Running(RWSGI, process, address, home)
    try:
        eventually(server.listening, "the server listens")
        for _ in range(60):
            assert fetch(address, "/" + "x" * 4000).status == 200
        assert os.read(reader, 1 << 20)
        assert fetch(address).status == 200
        said = server.wait_log("Log lines lost for the standard output: ")
        assert "(its reader does not read)" in said
        assert server.stop() == 0
    finally:
        os.close(reader)
        server.clean_up()


def test_lost_lines_are_counted_and_told(serve, small_disk: Path) -> None:
    access = small_disk / "access.log"
    # The next line fits in part.
    access.write_bytes(b"x" * 4090)
    server = serve("--access-logfile", str(access))
    for _ in range(3):
        assert fetch(server.address).body == b"hello\n"
    eventually(lambda: access.stat().st_size == 4096, "the disk is full")
    os.truncate(access, 0)
    fetch(server.address)
    server.wait_log(f"Log lines lost for '{access}': 3 (No space left on device)")
    fetch(server.address)
    eventually(lambda: access.read_text().count("GET / ") == 2, "whole lines again")
    assert [line[:9] for line in access.read_text().splitlines()] == ["", "127.0.0.1", "127.0.0.1"]
    assert server.stderr.count("lines lost") == 1


def test_a_pid_file_on_a_full_disk_is_told_at_the_start(run, small_disk: Path) -> None:
    fill(small_disk)
    status, _, stderr = run("-p", str(small_disk / "pid"), "-b", "127.0.0.1:0", "hello:app")
    assert status == 1
    assert f"Can't create pidfile '{small_disk}/pid': No space left on device" in stderr
    assert sorted(os.listdir(small_disk)) == ["filler"]


def test_a_pid_file_that_cannot_be_written_refuses_the_reload(serve, small_disk: Path) -> None:
    conf, first = small_disk.parent / "conf.py", small_disk.parent / "pid"
    conf.write_text(f"pidfile = '{first}'\n")
    server = serve("-c", str(conf))
    before = server.wait_workers(1)
    fill(small_disk)
    conf.write_text(f"pidfile = '{small_disk}/pid'\n")
    server.send(signal.SIGHUP)
    server.wait_log("No space left on device")
    server.wait_log("Reload failed")
    assert server.workers() == before
    assert first.read_text() == f"{server.pid}\n"
    assert fetch(server.address).body == b"hello\n"


def test_a_directory_that_takes_no_files(run) -> None:
    status, _, stderr = run("-p", "/proc/rwsgi.pid", "-b", "127.0.0.1:0", "hello:app")
    assert status == 1
    assert "Can't create pidfile '/proc/rwsgi.pid'" in stderr
