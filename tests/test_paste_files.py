"""PasteDeploy files: what rwsgi alone promises of them.

Read next: parity/test_paste.py, for what both servers do.
"""

from __future__ import annotations

import importlib.metadata
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import server as servers
from client import fetch
from server import APPS, RWSGI, Running, environment, eventually

INI = """[app:main]
paste.app_factory = pasted:make
greeting = hello

[app:failing]
paste.app_factory = pasted:failing

[server:other]
use = egg:waitress#main
workers = 1

[server:main]
use = egg:rwsgi#main
"""
# What hides PasteDeploy from the interpreter that has this file on its path.
WITHOUT_PASTE = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.startswith("paste") else find(name, *rest)
"""
START = """
import sys
from paste.deploy import loadapp, loadserver
loadserver("config:" + sys.argv[1])(loadapp("config:" + sys.argv[1]))
"""


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    path = tmp_path / "app.ini"
    path.write_text(INI)
    (tmp_path / "pasted.py").write_text((APPS / "pasted.py").read_text())
    return path


@pytest.fixture
def serve_section(ini: Path, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """The server that the file's section starts."""
    started: list[Running] = []

    def serve_section(*lines: str) -> Running:
        home, port = servers.scratch(tmp_path), servers.free_port()
        section = [f"bind = 127.0.0.1:{port}", *(line.format(home=home) for line in lines)]
        ini.write_text(INI + "\n".join(section) + "\n")
        kind = replace(RWSGI, program=(sys.executable, "-c", START))
        process = servers.launch(kind, [str(ini)], home, cwd=ini.parent, env={"PYTHONPATH": str(ini.parent)})
        started.append(Running(kind, process, ("127.0.0.1", port), home))
        eventually(started[-1].listening, "the server listens")
        return started[-1]

    yield serve_section
    for server in started:
        server.clean_up()


def test_without_pastedeploy(run, ini: Path) -> None:
    (ini.parent / "sitecustomize.py").write_text(WITHOUT_PASTE)
    env = {"PYTHONPATH": str(ini.parent)}
    status, _, stderr = run("-b", "127.0.0.1:0", "--paste", "app.ini", cwd=ini.parent, env=env)
    assert status == 4
    assert f"Cannot load {ini}: PasteDeploy is not installed here.\n" in stderr
    assert "Try: pip install PasteDeploy\n" in stderr


def test_a_failure_is_a_short_report(run, ini: Path) -> None:
    status, _, stderr = run("--check-config", "--paste", "app.ini#failing", cwd=ini.parent)
    assert status == 1
    first, second = stderr.splitlines()
    assert first == f"Error: Cannot load {ini}#failing: RuntimeError: no database"
    assert "pasted.py:" in second


def test_origins(run, ini: Path) -> None:
    ini.write_text(INI + "[loggers]\nkeys = root\n")
    status, stdout, stderr = run("--print-config", "--paste", "app.ini", "hello:app", cwd=ini.parent)
    assert status == 1, "there are no handlers for the logger"
    lines = {line.split()[0]: line for line in stdout.splitlines()}
    assert lines["paste"].split()[2:] == [f"'{ini}'", "#", "command", "line"]
    assert lines["logconfig"].endswith(f"'{ini}'  # app.ini:{len(INI.splitlines()) + 1}")
    assert "app.ini" in stderr


def test_a_file_is_watched(serve, ini: Path) -> None:
    server = serve("--reload", "--paste", "app.ini", app="", cwd=ini.parent)
    before = server.wait_workers(1)
    ini.write_text(INI.replace("hello", "good morning"))
    server.wait_workers(1, unlike=before)
    assert json.loads(fetch(server.address).body)["local"]["greeting"] == "good morning"
    assert f"Worker reloading: {ini} modified" in server.stderr


def test_preloaded(serve, ini: Path) -> None:
    server = serve("--preload", "--paste", "app.ini", app="", cwd=ini.parent)
    before = server.wait_workers(1)
    ini.write_text(INI.replace("pasted:make", "pasted:absent"))
    server.send(signal.SIGHUP)
    server.wait_log("Reload failed")
    assert server.workers() == before
    ini.write_text(INI.replace("hello", "good morning"))
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)
    eventually(lambda: b"good morning" in fetch(server.address).body, "the new application")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("workers = many", "app.ini:14: invalid value for workers: 'many': must be"),
        ("bind = :0\nwrokers = 2", "app.ini:15: unknown setting 'wrokers' (did you mean 'workers'?)"),
        ("host = a b", "app.ini:14: invalid value for bind: ['a b']: 'a b' is not a host name"),
        ("on_exit = pasted.absent", "app.ini:14: invalid value for on_exit"),
    ],
)
def test_a_server_section_is_reported_with_its_line(ini: Path, lines: str, said: str) -> None:
    ini.write_text(INI + lines + "\n")
    started = subprocess.run(
        [sys.executable, "-c", START, str(ini)],
        cwd=ini.parent,
        env=environment(ini.parent, {"PYTHONPATH": str(ini.parent)}),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert started.returncode == 1
    (line,) = started.stderr.splitlines()
    assert line.startswith(f"Error: {said}")


def test_a_failed_reload_under_pserve(serve_section, ini: Path) -> None:
    server = serve_section()
    before = server.wait_workers(1)
    ini.write_text(ini.read_text().replace("pasted:make", "pasted:failing"))
    ini.write_text(ini.read_text().replace("greeting = hello\n", ""))
    server.send(signal.SIGHUP)
    log = server.wait_log("Reload failed, generation 1 keeps serving: RuntimeError: no database\n")
    assert "pasted.py" in log
    assert "Traceback" not in log
    assert server.workers() == before


def test_an_upgrade_under_pserve(serve_section, ini: Path) -> None:
    server = serve_section("pidfile = {home}/pid")
    server.wait_workers(1)
    ini.write_text(ini.read_text().replace("hello", "good morning"))
    new = server.upgrade(1)
    server.send(signal.SIGTERM)
    server.successor = new
    eventually(lambda: b"good morning" in fetch(server.address).body, "the new application")
    assert server.stop() == 0


def test_the_entry_point() -> None:
    (entry,) = importlib.metadata.entry_points(group="paste.server_runner", name="main").select(
        value="rwsgi.paste:serve"
    )
    assert callable(entry.load())
