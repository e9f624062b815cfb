"""Signals to the master: stop, reload, resize, reopen."""

import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from client import Response, fetch
from server import Running, eventually


def in_flight(
    server: Running, pool: ThreadPoolExecutor, seconds: float, name: str = "/x"
) -> "Future[Response]":
    """A request the application has begun to serve."""
    future = pool.submit(fetch, server.address, f"{name}?{seconds}", timeout=30)
    server.wait_log(f"started {name}")
    return future


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop(serve, number: signal.Signals) -> None:
    server = serve("-w", "2")
    workers = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    fetch(server.address)
    start = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - start < 5
    assert server.descendants() == []
    log = server.stderr
    assert f"[INFO] Handling signal: {number.name[3:].lower()}" in log
    assert "[INFO] Shutting down: Master" in log
    assert all(f"Worker exiting (pid: {pid})" in log for pid in workers)


def test_term_finishes_the_request(serve, pool) -> None:
    server = serve(app="slow:app")
    response = in_flight(server, pool, 1.5)
    assert server.stop() == 0
    assert response.result().body == b"hello\n"


def test_term_waits_no_longer_than_the_graceful_timeout(serve, pool) -> None:
    server = serve("--graceful-timeout", "1", app="slow:app")
    response = in_flight(server, pool, 20)
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 6
    assert response.exception() is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_quick_stop_does_not_wait(serve, pool, number: signal.Signals) -> None:
    server = serve(app="slow:app")
    response = in_flight(server, pool, 20)
    start = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - start < 6
    assert response.exception() is not None or response.result().status == 500


def test_quick_stop_overtakes_a_graceful_one(serve, pool) -> None:
    server = serve(app="slow:app")
    in_flight(server, pool, 20)
    server.send(signal.SIGTERM)
    server.wait_log("Handling signal: term")
    start = time.monotonic()
    assert server.stop(signal.SIGINT) == 0
    assert time.monotonic() - start < 6


def test_resize(serve) -> None:
    server = serve("-w", "2")
    first = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    server.send(signal.SIGTTIN)
    three = server.wait_workers(3)
    assert set(first) < set(three)
    server.wait_log("Booting worker with pid", 3)
    server.send(signal.SIGTTOU)
    two = server.wait_workers(2)
    assert set(two) < set(three)
    server.send(signal.SIGTTOU)
    one = server.wait_workers(1)
    server.send(signal.SIGTTOU)
    server.wait_log("Handling signal: ttou", 3)
    assert fetch(server.address).status == 200
    assert server.workers() == one


def test_ttou_stops_the_oldest(serve) -> None:
    server = serve("-w", "1", app="slow:pid")
    oldest = server.wait_workers(1)
    server.send(signal.SIGTTIN)
    (youngest,) = set(server.wait_workers(2)) - set(oldest)
    eventually(lambda: int(fetch(server.address).body.split()[0]) == youngest, "the second worker serves")
    server.send(signal.SIGTTOU)
    server.wait_workers(1, unlike=oldest)


def test_hup_replaces_the_workers(serve) -> None:
    server = serve("-w", "2")
    before = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    fetch(server.address)
    server.send(signal.SIGHUP)
    server.wait_workers(2, unlike=before)
    assert "[INFO] Hang up: Master" in server.stderr
    assert fetch(server.address).body == b"hello\n"
    assert server.stop() == 0


def write_app(directory: Path, answer: str) -> None:
    (directory / "changing.py").write_text(
        "def app(environ, start_response):\n"
        f"    start_response('200 OK', [('Content-Length', '{len(answer)}')])\n"
        f"    return [b'{answer}']\n"
    )


def test_hup_loads_new_code(serve, tmp_path: Path) -> None:
    write_app(tmp_path, "old")
    server = serve(app="changing:app", cwd=tmp_path)
    before = server.wait_workers(1)
    assert fetch(server.address).body == b"old"
    write_app(tmp_path, "newer")
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)
    assert fetch(server.address).body == b"newer"


def test_hup_reads_the_config_file(serve, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("workers = 1\nraw_env = ['A=1']\n")
    server = serve("-c", str(config))
    before = server.wait_workers(1)
    fetch(server.address)
    config.write_text("workers = 3\n")
    server.send(signal.SIGHUP)
    server.wait_workers(3, unlike=before)


def test_hup_undoes_ttin(serve) -> None:
    server = serve("-w", "1")
    server.wait_workers(1)
    server.send(signal.SIGTTIN)
    before = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    fetch(server.address)
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)


def test_hup_finishes_requests(serve, pool) -> None:
    server = serve(app="slow:app")
    before = server.wait_workers(1)
    response = in_flight(server, pool, 1.5)
    server.send(signal.SIGHUP)
    server.wait_log("Hang up: Master")
    assert fetch(server.address, "/other").body == b"hello\n"
    assert response.result().body == b"hello\n"
    server.wait_workers(1, unlike=before)


def test_hup_under_load_drops_nothing(serve, pool) -> None:
    server = serve("-w", "2")
    before = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    running = [True]

    def load() -> int:
        served = 0
        while running:
            assert fetch(server.address).status == 200
            served += 1
        return served

    clients = [pool.submit(load) for _ in range(2)]
    server.send(signal.SIGHUP)
    server.wait_workers(2, unlike=before)
    running.clear()
    assert all(client.result() > 0 for client in clients)


def test_usr1_reopens_the_logs(serve) -> None:
    server = serve("--access-logfile", "{home}/access", "--error-logfile", "{home}/error")
    access, error = server.home / "access", server.home / "error"
    server.wait_workers(1)
    fetch(server.address, "/before")
    # gunicorn answers before it logs.
    eventually(lambda: "/before" in access.read_text(), "the line")
    access.rename(server.home / "access.1")
    error.rename(server.home / "error.1")
    server.send(signal.SIGUSR1)
    deadline = time.monotonic() + 10
    while not (access.exists() and error.exists()):
        assert time.monotonic() < deadline, "the logs were not reopened"
        time.sleep(0.01)
    # The worker reopens by itself; a request it serves after that is in the new file.
    while "/after" not in access.read_text():
        assert time.monotonic() < deadline, "the worker still writes to the old file"
        fetch(server.address, "/after")
    assert server.stop() == 0
    assert "/before" in (server.home / "access.1").read_text()
    assert "Shutting down: Master" in error.read_text()
    assert "Shutting down: Master" not in (server.home / "error.1").read_text()
