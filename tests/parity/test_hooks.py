"""Server hooks: moment, process, arguments. What a raising one costs is in test_hook_failures.py."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client import Connection, encode, exchange, fetch
from server import APPS, Running, eventually

Record = dict[str, Any]


class Recorded:
    """A server whose every hook writes a record."""

    def __init__(self, server: Running):
        self.server = server

    def all(self) -> list[Record]:
        try:
            lines = (self.server.home / "record").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def of(self, *hooks: str) -> list[Record]:
        return [record for record in self.all() if record["hook"] in hooks]

    def wait(self, hook: str, count: int = 1) -> Record:
        """The record of the `count`th call."""
        eventually(lambda: len(self.of(hook)) >= count, f"{hook} is called {count} times")
        return self.of(hook)[count - 1]

    def sequence(self) -> list[tuple[str, str]]:
        role = {self.server.pid: "master"}
        return [(record["hook"], role.get(record["process"], "worker")) for record in self.all()]


@pytest.fixture
def recorded(serve) -> Callable[..., Recorded]:
    def start(*arguments: str) -> Recorded:
        server = serve(
            "-c",
            str(APPS / "recording_hooks.py"),
            *arguments,
            app="hooked:app",
            env={"RECORD": "{home}/record"},
        )
        recorded = Recorded(server)
        recorded.wait("post_worker_init")
        return recorded

    return start


def test_a_life(recorded) -> None:
    run = recorded("--pid", "{home}/pid")
    fetch(run.server.address)
    run.wait("post_request")
    assert run.server.stop() == 0
    assert run.sequence() == [
        ("nworkers_changed", "master"),
        ("on_starting", "master"),
        ("when_ready", "master"),
        ("pre_fork", "master"),
        ("post_fork", "worker"),
        ("post_worker_init", "worker"),
        ("pre_request", "worker"),
        ("post_request", "worker"),
        ("worker_exit", "worker"),
        ("child_exit", "master"),
        ("on_exit", "master"),
    ]


def test_what_the_server_shows(recorded) -> None:
    run = recorded("--pid", "{home}/pid", "--timeout", "21", "--name", "shop")
    host, port = run.server.address
    url = f"http://{host}:{port}"
    (changed,) = run.of("nworkers_changed")
    assert (changed["new"], changed["old"]) == (1, None)
    (starting,) = run.of("on_starting")
    assert (starting["listeners"], starting["workers"], starting["worker_age"]) == ([], {}, 0)
    assert starting["pidfile_written"] is True
    (ready,) = run.of("when_ready")
    assert (ready["listeners"], ready["workers"]) == ([url], {})
    assert ready["names"] == ready["address"] == [[host, port]]
    assert (ready["num_workers"], ready["timeout"], ready["proc_name"]) == (1, 21, "shop")
    assert {record["server_pid"] for record in run.all() if "server_pid" in record} == {run.server.pid}
    assert ready["reexec_pid"] == 0


def test_what_a_worker_shows(recorded) -> None:
    run = recorded("--timeout", "20")
    (worker,) = run.server.wait_workers(1)
    fetch(run.server.address)
    fetch(run.server.address)
    run.wait("post_request", 2)
    (before,) = run.of("pre_fork")
    assert (before["pid"], before["age"], before["text"]) == ("[booting]", 1, "<Worker [booting]>")
    (forked,) = run.of("post_fork")
    assert (forked["pid"], forked["process"], forked["ppid"]) == (worker, worker, run.server.pid)
    assert (forked["booted"], forked["loaded"], forked["text"]) == (False, False, f"<Worker {worker}>")
    assert (forked["alive"], forked["worker_timeout"], forked["threads"]) == (True, 10, 1)
    (loaded,) = run.of("post_worker_init")
    assert (loaded["booted"], loaded["loaded"], loaded["mark"]) == (False, True, "kept")
    assert [record["nr"] for record in run.of("pre_request")] == [0, 1]
    assert [record["nr"] for record in run.of("post_request")] == [1, 2]
    assert {record["booted"] for record in run.of("pre_request")} == {True}
    assert run.server.stop() == 0
    (left,) = run.of("worker_exit")
    assert (left["pid"], left["nr"], left["alive"]) == (worker, 2, False)
    (gone,) = run.of("child_exit")
    assert (gone["pid"], gone["age"], gone["workers"]) == (worker, 1, {})
    assert run.of("on_exit")[0]["workers"] == {}


def test_requests(recorded) -> None:
    run = recorded()
    head = "GET /a%20b?x=1 HTTP/1.1\r\nHost: here\r\nX-One: 1\r\nx-one: 2\r\nA_B: dropped\r\n\r\n"
    exchange(run.server.address, head.encode())
    before, after = run.wait("pre_request"), run.wait("post_request")
    assert (before["method"], before["uri"], before["version"]) == ("GET", "/a%20b?x=1", [1, 1])
    assert (before["path"], before["query"], before["fragment"]) == ("/a%20b", "x=1", "")
    assert before["headers"] == [["HOST", "here"], ["X-ONE", "1"], ["X-ONE", "2"]]
    assert (before["host"], before["peer"], before["scheme"]) == ("127.0.0.1", "127.0.0.1", "http")
    assert (after["mark"], after["path_info"]) == ("kept", "/a b")
    assert (after["status"], after["sent"], after["length"]) == ("200 OK", 3, 3)
    assert after["headers"] == [["Content-Type", "text/plain"], ["Content-Length", "3"]]


def test_requests_that_fail(recorded) -> None:
    run = recorded()
    assert fetch(run.server.address, "/raises").status == 500
    after = run.wait("post_request")
    assert (after["path_info"], after["has_response"], after["status"]) == ("/raises", True, None)
    assert fetch(run.server.address, "/refused").status == 500
    after = run.wait("post_request", 2)
    assert (after["path_info"], after["has_response"]) == (None, False)
    assert "ValueError: refused by pre_request" in run.server.wait_log("Error handling request GET /refused")
    assert exchange(run.server.address, b"GET / HTTP/1.1\r\nbad header\r\n\r\n").status == 400
    assert fetch(run.server.address).status == 200
    run.wait("post_request", 3)
    # Nobody was told of the one that was no request.
    assert [record["path"] for record in run.of("pre_request")] == ["/raises", "/refused", "/"]
    assert [record["nr"] for record in run.of("post_request")] == [1, 1, 2]


def test_a_worker_that_wants_to_go_is_replaced(recorded) -> None:
    run = recorded()
    workers = run.server.wait_workers(1)
    assert fetch(run.server.address, "/last").status == 200
    assert run.wait("post_request")["alive"] is False
    run.server.wait_workers(1, unlike=workers)
    run.wait("post_worker_init", 2)
    assert run.wait("worker_exit")["process"] == workers[0]
    assert run.wait("child_exit")["pid"] == workers[0]
    assert fetch(run.server.address).status == 200


def test_reload(recorded) -> None:
    run = recorded()
    (old,) = run.server.wait_workers(1)
    run.server.send(signal.SIGHUP)
    run.wait("child_exit")
    master = [record for record in run.all() if record["process"] == run.server.pid][4:]
    assert [record["hook"] for record in master] == [
        "nworkers_changed",
        "on_reload",
        "pre_fork",
        "child_exit",
    ]
    changed, reloaded, forked, gone = master
    assert (changed["new"], changed["old"]) == (1, 1)
    assert reloaded["workers"] == {str(old): 1}
    assert (forked["age"], forked["workers"]) == (2, {str(old): 1})
    assert (gone["pid"], list(gone["workers"].values())) == (old, [2])


def test_resize(recorded) -> None:
    run = recorded()
    run.server.send(signal.SIGTTIN)
    run.wait("post_worker_init", 2)
    run.server.send(signal.SIGTTOU)
    run.wait("child_exit")
    changes = [(record["new"], record["old"]) for record in run.of("nworkers_changed")]
    assert changes == [(1, None), (2, 1), (1, 2)]
    hooks = [record["hook"] for record in run.all()]
    assert hooks.index("nworkers_changed", 1) < hooks.index("pre_fork", hooks.index("pre_fork") + 1)
    # One worker is the least: nothing changes.
    run.server.send(signal.SIGTTOU)
    run.server.wait_log("Handling signal: ttou", 2)
    assert run.server.stop() == 0
    assert len(run.of("nworkers_changed")) == 3


def test_a_second_master(recorded) -> None:
    run = recorded()
    old, (worker,) = run.server.pid, run.server.wait_workers(1)
    run.server.send(signal.SIGUSR2)
    new = run.wait("pre_exec")["process"]
    run.wait("post_worker_init", 2)
    (before,) = run.of("pre_exec")
    assert (before["parent"], before["server_pid"], before["workers"]) == (old, old, {str(worker): 1})
    # The process that called it is the new master.
    called = [record for record in run.all() if record["process"] == new]
    assert [record["hook"] for record in called] == [
        "pre_exec",
        "nworkers_changed",
        "on_starting",
        "when_ready",
        "pre_fork",
    ]
    assert (called[2]["server_pid"], called[2]["master_pid"], called[2]["workers"]) == (new, old, {})
    os.kill(new, signal.SIGTERM)
    assert run.wait("on_exit")["process"] == new
    eventually(lambda: new not in run.server.descendants(), "the new master is gone")
    assert run.server.stop() == 0
    assert run.wait("on_exit", 2)["process"] == old


@pytest.mark.parametrize(
    ("number", "hook"),
    [
        (signal.SIGINT, "worker_int"),
        (signal.SIGQUIT, "worker_int"),
        (signal.SIGABRT, "worker_abort"),
        (signal.SIGTERM, None),
    ],
)
def test_signals_to_a_worker(recorded, number: signal.Signals, hook: str | None) -> None:
    run = recorded()
    (worker,) = run.server.wait_workers(1)
    os.kill(worker, number)
    run.server.wait_workers(1, unlike=[worker])
    run.wait("post_worker_init", 2)
    called = [record for record in run.of("worker_int", "worker_abort") if record["process"] == worker]
    assert [record["hook"] for record in called] == ([hook] if hook else [])
    assert not any(record["alive"] for record in called)
    assert run.of("worker_exit")[0]["process"] == worker


def test_a_stuck_worker_is_told_to_abort(recorded) -> None:
    run = recorded("--timeout", "1")
    with Connection(run.server.address) as connection:
        connection.send(encode("GET", "/hangs"))
        assert run.wait("worker_abort")["hook"] == "worker_abort"
        assert run.wait("child_exit")["aborted"] is True


def test_killed_workers_have_no_last_word(recorded) -> None:
    run = recorded()
    (worker,) = run.server.wait_workers(1)
    os.kill(worker, signal.SIGKILL)
    assert run.wait("child_exit")["pid"] == worker
    assert run.of("worker_exit", "worker_int", "worker_abort") == []


def test_a_boot_failure_is_no_exit_of_a_child(run, tmp_path: Path) -> None:
    record = tmp_path / "record"
    status, _, _ = run(
        "-c",
        str(APPS / "recording_hooks.py"),
        "-b",
        "127.0.0.1:0",
        "not_there:app",
        env={"RECORD": str(record)},
    )
    hooks = [json.loads(line)["hook"] for line in record.read_text().splitlines()]
    assert status == 3
    assert "child_exit" not in hooks
    assert hooks[-2:] == ["worker_exit", "on_exit"]
