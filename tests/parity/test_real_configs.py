"""Config files as projects have them (../configs), each with the effect its author wants.

Owns what each is to do. Must never edit a file for one of the servers: what one of them cannot take unchanged
is a failure of that one. Read next: ../configs/container.py.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from client import fetch
from server import APPS, Running, children, eventually, title_of

CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.fixture
def configured(serve) -> Callable[..., Running]:
    def configured(name: str, *arguments: str, **more) -> Running:
        return serve("-c", str(CONFIGS / f"{name}.py"), *arguments, **more)

    return configured


def test_arithmetic(configured) -> None:
    server = configured("arithmetic", env={"MAX_WORKERS": "2", "LOG_LEVEL": "DEBUG"})
    assert len(server.wait_workers(2)) == 2
    assert re.search(r"\bmax_requests\s*[:=] 1000\b", server.stderr)
    assert server.stop() == 0
    assert "2 workers, timeout 45" in server.stdout


def test_container(configured) -> None:
    server = configured("container", bind=None, app="", env={"TEST_PORT": "{port}"})
    assert len(server.wait_workers(2)) == 2
    response = fetch(server.address, "/", ("X-Forwarded-Proto", "https"))
    assert response.body == b"https"
    eventually(lambda: '"GET / HTTP/1.1" 200 5' in server.stdout, "the access log's line")
    assert "printed by the application" in server.stdout + server.stderr


def test_by_hand_json(configured) -> None:
    server = configured("by_hand_json")
    headers = [("User-Agent", 'curl "8"'), ("X-Forwarded-For", "10.9.8.7")]
    fetch(server.address, "/a%20b?x=1", *headers)
    line = json.loads(eventually(lambda: server.stdout, "the line"))
    known = {"remote": "127.0.0.1", "forwarded": "10.9.8.7", "method": "GET", "path": "/a b", "query": "x=1"}
    known |= {"request": "GET /a%20b?x=1 HTTP/1.1", "protocol": "HTTP/1.1", "status": 200, "bytes": 6}
    known |= {"agent": 'curl "8"', "type": "text/plain", "server": "127.0.0.1", "referer": "-"}
    assert {name: line[name] for name in known} == known
    assert 0 <= line["microseconds"] < 10_000_000
    assert line["pid"] == f"<{server.workers()[0]}>"


def test_dict_logs(configured) -> None:
    server = configured("dict_logs", app="cases:app")
    fetch(server.address, target="/hello/app")
    fetch(server.address, target="/misuse/raises")
    assert server.stop() == 0
    entries = [json.loads(line) for line in server.stdout.splitlines()]
    said = {(entry["logger"], entry["level"]) for entry in entries}
    assert said == {("gunicorn.error", "INFO"), ("gunicorn.error", "ERROR"), ("gunicorn.access", "INFO")}
    requests = [entry["message"] for entry in entries if entry["logger"] == "gunicorn.access"]
    assert ['"GET /hello/app HTTP/1.1" 200' in requests[0], len(requests)] == [True, 2]
    failures = [entry for entry in entries if entry["level"] == "ERROR"]
    assert [entry["exception"] for entry in failures] == ["RuntimeError"]
    assert (
        failures[0]["message"] == "Error handling request /misuse/raises" or "GET" in failures[0]["message"]
    )
    assert any(entry["message"].startswith("Listening at: http://") for entry in entries)


def test_quiet_health(configured) -> None:
    server = configured("quiet_health")
    fetch(server.address, target="/health")
    fetch(server.address, target="/")
    eventually(lambda: server.stdout, "the line")
    assert server.stop() == 0
    assert "/health" not in server.stdout
    assert '"GET / HTTP/1.1" 200' in server.stdout


def test_forwarded_errors(configured, tmp_path: Path) -> None:
    server = configured("forwarded_errors", app="cases:app", env={"ELSEWHERE": str(tmp_path / "elsewhere")})
    fetch(server.address, target="/misuse/raises")
    line = eventually(
        lambda: (tmp_path / "elsewhere").exists() and (tmp_path / "elsewhere").read_text(), "a line"
    )
    assert re.fullmatch(r"ERROR RuntimeError Error handling request GET /misuse/raises\n", line)
    assert "[ERROR] Error handling request" in server.wait_log("RuntimeError")


def test_hooks_that_log(configured) -> None:
    server = configured("hooks_that_log", "--log-level", "debug")
    (worker,) = server.wait_workers(1)
    fetch(server.address, target="/x")
    assert server.stop() == 0
    for said in [
        "[INFO] Starting with 1 workers",
        "[INFO] Server is ready. Spawning workers",
        "[DEBUG] About to fork",
        f"[INFO] Worker spawned (pid: {worker})",
        f"[WARNING] Worker {worker} initialized",
        "[INFO] GET /x",
        "[INFO] GET /x -> 200",
        "[ERROR] Leaving\nTraceback (most recent call last):",
        f"[ERROR] Worker {worker} is gone",
        "[CRITICAL] Good bye",
    ]:
        assert said in server.stderr, said


def test_prometheus(configured, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    (metrics / "gauge_liveall_1.db").write_bytes(b"")
    server = configured("prometheus", app="counted:app", env={"PROMETHEUS_MULTIPROC_DIR": str(metrics)})
    workers = server.wait_workers(2)
    serving = int(fetch(server.address).body.split()[0])
    assert serving in workers
    assert not (metrics / "gauge_liveall_1.db").exists()
    assert (metrics / f"gauge_liveall_{serving}.db").exists()
    os.kill(serving, 9)
    eventually(
        lambda: not (metrics / f"gauge_liveall_{serving}.db").exists(), "the gauge of the dead is gone"
    )
    assert (metrics / f"counter_{serving}.db").exists()


def test_reseeding(configured) -> None:
    server = configured("reseeding", app="drawn:app")
    server.wait_workers(2)
    drawn: dict[bytes, tuple[bytes, bytes]] = {}

    def both() -> bool:
        pid, number, worker = fetch(server.address).body.split()
        drawn.setdefault(pid, (number, worker))
        return len(drawn) == 2

    eventually(both, "both workers have answered")
    (one, first), (other, second) = drawn.values()
    assert one != other
    assert sorted([first[:2], second[:2]]) == [b"1-", b"2-"]


def test_environment_checks(configured, run) -> None:
    status, _, stderr = run("-c", str(CONFIGS / "environment_checks.py"), "-b", "127.0.0.1:0", "hello:app")
    assert status == 1
    assert "[ERROR] Missing variables: DATABASE_URL, SECRET_KEY" in stderr
    server = configured("environment_checks", env={"DATABASE_URL": "x", "SECRET_KEY": "y"})
    server.wait_log("All 2 variables are set")


def test_memory_watchdog(configured) -> None:
    server = configured("memory_watchdog")
    before = server.wait_workers(1)
    assert fetch(server.address).body == b"hello\n"
    server.wait_log(f"Worker {before[0]} is too large")
    server.wait_workers(1, unlike=before)
    assert fetch(server.address).body == b"hello\n"


def test_patched(configured) -> None:
    server = configured("patched", app="process:app")
    facts = json.loads(fetch(server.address).body)
    assert facts["environment"]["PATCHED"] == "yes"
    server.wait_log("patched in MainThread")


def test_places(configured, tmp_path: Path) -> None:
    server = configured("places", app="process:app", cwd=tmp_path, env={"RUN_DIR": str(tmp_path)})
    facts = json.loads(fetch(server.address).body)
    assert facts["environment"]["GREETING"] == "hello"
    assert facts["environment"]["CONFIG_DIR"] == str(CONFIGS)
    assert (tmp_path / "app.pid").read_text() == f"{server.pid}\n"
    eventually(lambda: "200" in (tmp_path / "access.log").read_text(), "the access log's line")
    assert "Listening at" in (tmp_path / "error.log").read_text()
    assert title_of(children(server.pid)[0]).endswith("[shop]")
    assert server.stderr == ""
    assert APPS.parent == CONFIGS.parent
