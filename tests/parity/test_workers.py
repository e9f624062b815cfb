"""Workers: respawn, timeout, recycling, titles, and life without a master."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import fetch
from server import Running, eventually, title_of


def test_titles(serve) -> None:
    server = serve("-w", "2")
    workers = server.wait_workers(2)
    eventually(lambda: title_of(server.pid) == server.kind.title("master", "hello:app"), "the master's title")
    for pid in workers:
        eventually(
            lambda pid=pid: title_of(pid) == server.kind.title("worker", "hello:app"), "a worker's title"
        )


def test_titles_with_a_name(serve) -> None:
    server = serve("--name", "shop")
    (worker,) = server.wait_workers(1)
    eventually(lambda: title_of(server.pid) == server.kind.title("master", "shop"), "the master's title")
    eventually(lambda: title_of(worker) == server.kind.title("worker", "shop"), "the worker's title")


def test_a_killed_worker_is_replaced(serve) -> None:
    server = serve("-w", "3")
    before = server.wait_workers(3)
    server.wait_log("Booting worker with pid", 3)
    os.kill(before[0], signal.SIGKILL)
    server.wait_log(f"Worker (pid:{before[0]}) was sent SIGKILL!")
    after = server.wait_workers(3, unlike=before[:1])
    assert set(before[1:]) < set(after)
    assert fetch(server.address).status == 200


def test_a_worker_that_was_told_to_stop_is_replaced(serve) -> None:
    server = serve()
    before = server.wait_workers(1)
    fetch(server.address)
    os.kill(before[0], signal.SIGTERM)
    server.wait_workers(1, unlike=before)
    assert fetch(server.address).status == 200


def test_a_worker_that_exits_is_replaced_and_named(serve) -> None:
    server = serve(app="slow:exits")
    before = server.wait_workers(1)
    with pytest.raises((AssertionError, OSError)):
        fetch(server.address, "/?9")
    server.wait_log(f"[ERROR] Worker (pid:{before[0]}) exited with code 9.")
    server.wait_workers(1, unlike=before)
    assert fetch(server.address).status == 200


def hang(server: Running) -> None:
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(fetch, server.address, "/stuck?30", timeout=30)
        server.wait_log("started /stuck")
        (worker,) = server.workers()
        server.wait_log(f"[CRITICAL] WORKER TIMEOUT (pid:{worker})")
        server.wait_workers(1, unlike=[worker])
        assert hanging.exception() is not None or hanging.result().status >= 500
    assert fetch(server.address, "/next").status == 200


def test_timeout(serve) -> None:
    server = serve("--timeout", "1", app="slow:app")
    hang(server)
    assert 'slow.py", line' in server.stderr


def test_timeout_of_a_worker_deaf_to_sigabrt(serve) -> None:
    hang(serve("--timeout", "1", app="slow:deaf"))


def test_timeout_spares_the_idle(serve) -> None:
    server = serve("--timeout", "1")
    before = server.wait_workers(1)
    time.sleep(3)  # the thing under test is that nothing happens
    assert server.workers() == before
    assert "WORKER TIMEOUT" not in server.stderr


def test_timeout_0_never_kills(serve) -> None:
    server = serve("--timeout", "0", app="slow:app")
    assert fetch(server.address, "/?2.5").status == 200
    assert "WORKER TIMEOUT" not in server.stderr


def test_max_requests(serve) -> None:
    server = serve("--max-requests", "3")
    before = server.wait_workers(1)
    for _ in range(3):
        assert fetch(server.address).status == 200
    server.wait_log("Autorestarting worker after current request.")
    server.wait_workers(1, unlike=before)
    assert fetch(server.address).status == 200
    assert server.stderr.count("Autorestarting worker") == 1


def test_max_requests_loses_no_request(serve) -> None:
    server = serve("-w", "2", "--max-requests", "5", "--max-requests-jitter", "3")
    server.wait_workers(2)
    # A server may let a worker serve on until its replacement is ready, so the requests are not counted.
    for _ in range(5000):
        assert fetch(server.address).status == 200
        if server.stderr.count("Autorestarting worker") >= 4:
            break
    else:
        raise AssertionError("workers are not replaced")


def test_orphans_leave(serve) -> None:
    server = serve("-w", "2", "--timeout", "4")
    server.wait_workers(2)
    fetch(server.address)
    server.process.kill()
    server.wait_exit()
    eventually(lambda: not server.descendants(), "the workers notice that the master is gone")


def test_preload_imports_once(serve) -> None:
    server = serve("--preload", "-w", "2", app="slow:pid")
    server.wait_workers(2)
    served, imported = fetch(server.address).body.split()
    assert int(imported) == server.pid
    assert int(served) in server.workers()


def test_without_preload_each_worker_imports(serve) -> None:
    server = serve("-w", "2", app="slow:pid")
    server.wait_workers(2)
    served, imported = fetch(server.address).body.split()
    assert served == imported


def test_reuse_port(serve) -> None:
    server = serve("--reuse-port", "-w", "2")
    server.wait_workers(2)
    assert all(fetch(server.address).status == 200 for _ in range(10))
    assert server.stop() == 0


def test_no_workers(serve) -> None:
    server = serve("-w", "0")
    server.wait_log("Listening at")
    assert server.workers() == []
    server.send(signal.SIGTTIN)
    server.wait_workers(1)
    assert fetch(server.address).status == 200
