"""Every way a worker can die: it is told, replaced, and nobody else notices. Strangers' children."""

import json
import os
import signal
import sys
import time

import pytest
from client import fetch
from server import Running, children, eventually, process_table

SIGNALS = [signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL]
# Becomes the reaper of all orphans below it, has a child that ends with status 4, and becomes the server.
LAUNCHER = """
import ctypes, os, sys, time
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
if os.fork() == 0:
    time.sleep(1)  # until the parent is the server
    os._exit(4)
os.execv(sys.argv[1], sys.argv[1:])
"""


def die(server: Running, target: str) -> int:
    """Has the worker die while it serves `target`; the pid it had."""
    (worker,) = server.wait_workers(1)
    assert fetch(server.address).status == 200
    with pytest.raises((AssertionError, OSError)):
        fetch(server.address, target)
    server.wait_workers(1, unlike=[worker])
    assert fetch(server.address).body == b"hello\n"
    return worker


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_that_kills(serve, number: signal.Signals) -> None:
    server = serve(app="dying:app")
    worker = die(server, f"/signal?{number:d}")
    server.wait_log(f"Worker (pid:{worker}) was sent {number.name}!")


@pytest.mark.parametrize("target", ["/segfault", "/abort"])
def test_a_crash_in_c(serve, target: str) -> None:
    server = serve(app="dying:app")
    worker = die(server, target)
    name = {"/segfault": "SIGSEGV", "/abort": "SIGABRT"}[target]
    server.wait_log(f"Worker (pid:{worker}) was sent {name}!")


def test_a_real_time_signal(serve) -> None:
    server = serve(app="dying:app")
    worker = die(server, f"/signal?{signal.SIGRTMIN + 2:d}")
    server.wait_log(f"Worker (pid:{worker}) was sent ")


def test_an_exhausted_c_stack(serve) -> None:
    server = serve(app="dying:app")
    (worker,) = server.wait_workers(1)
    if sys.version_info < (3, 12):
        assert die(server, "/exhaust_stack") == worker
        server.wait_log(f"Worker (pid:{worker}) was sent SIGSEGV!")
    else:
        assert fetch(server.address, "/exhaust_stack").status == 500
        assert server.workers() == [worker]


@pytest.mark.parametrize("code", [1, 255])
def test_an_exit_of_its_own(serve, code: int) -> None:
    server = serve(app="dying:app")
    worker = die(server, f"/exit?{code}")
    server.wait_log(f"Worker (pid:{worker}) exited with code {code}.")


@pytest.mark.better(
    "A worker that exits with status 3 or 4 long after its boot is replaced; "
    "gunicorn takes that for a failed boot and stops."
)
@pytest.mark.parametrize("code", [3, 4])
def test_an_exit_with_the_status_of_a_failed_boot(serve, code: int) -> None:
    server = serve(app="dying:app")
    worker = die(server, f"/exit?{code}")
    server.wait_log(f"Worker (pid:{worker}) exited with code {code}.")


def test_a_stopped_worker_is_replaced(serve) -> None:
    server = serve("--timeout", "1")
    (worker,) = server.wait_workers(1)
    assert fetch(server.address).status == 200
    os.kill(worker, signal.SIGSTOP)
    server.wait_log(f"[CRITICAL] WORKER TIMEOUT (pid:{worker})")
    server.wait_workers(1, unlike=[worker])
    assert fetch(server.address).status == 200


def test_all_workers_killed_at_once(serve) -> None:
    server = serve("-w", "3", app="process:app")
    before = server.wait_workers(3)
    # One that is killed while it boots would be another case.
    served: set[int] = set()
    while served < set(before):
        served.add(json.loads(fetch(server.address).body)["pid"])
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    server.wait_workers(3, unlike=before)
    assert fetch(server.address).status == 200
    assert time.monotonic() - start < 2


def no_children_but_workers(server: Running, count: int) -> None:
    """Zombies included."""
    eventually(
        lambda: sum(parent == server.pid for parent, _, _ in process_table().values()) == count,
        f"just {count} children, no zombie: {children(server.pid)}",
    )


def test_strangers_children_are_reaped_and_mean_nothing(serve) -> None:
    server = serve(app="dying:app", under=(sys.executable, "-c", LAUNCHER))
    for code in (3, 4):
        assert fetch(server.address, f"/stray?{code}").status == 200
    no_children_but_workers(server, 1)
    assert fetch(server.address).status == 200
    assert "exited with code" not in server.stderr
    assert "[ERROR]" not in server.stderr
    assert server.stop() == 0
