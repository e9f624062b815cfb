"""What a person at a terminal sees of a start that goes well, and what nobody else may see.

Read next: terminal.py, test_failure_texts.py.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import server as servers
from client import fetch
from server import APPS, Running
from terminal import Watched, on_terminal

COLOUR = "\x1b["
GREETING = re.compile(
    r"\Arwsgi \d[\w.]* \(Python 3\.\d+\.\d+, sync\), pid (?P<pid>\d+)\n"
    r"  listening  (?P<url>\S+)\n"
    r"  app        (?P<app>.*), imported in \d\.\d\d s\n"
    r"  workers    (?P<workers>\d+) ready in \d\.\d\d s \(Ctrl-C to stop\)\n\Z"
)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    started: list[Running] = []

    def watch(*arguments: str, env: dict[str, str] | None = None, **how) -> Watched:
        port = servers.free_port()
        words = ["-b", f"127.0.0.1:{port}", *arguments]
        home = servers.scratch(tmp_path)
        started.append(on_terminal(words, home, APPS, env, address=("127.0.0.1", port), **how))
        return started[-1]

    yield watch
    for server in started:
        server.clean_up()


def test_the_greeting(watch) -> None:
    server = watch("-w", "3", "hello:app")
    found = GREETING.match(server.wait_log("Ctrl-C to stop)\n"))
    assert found, server.stderr
    assert int(found["pid"]) == server.pid
    assert found["url"] == f"http://127.0.0.1:{server.address[1]}"
    assert found["app"] == f"hello:app, a function in {APPS}/hello.py"
    assert found["workers"] == "3"
    assert fetch(server.address).body == b"hello\n"
    assert server.stop(signal.SIGINT) == 0
    said = server.shown().partition("Ctrl-C to stop)\n")[2]
    assert said.count("Worker exiting (pid: ") == 3
    assert "Shutting down: Master" in said


@pytest.mark.parametrize(
    ("app", "nature"), [("factories:site", "of type Site"), ("factories:joined('a', 'b')", "a function")]
)
def test_the_kind_of_application(watch, app: str, nature: str) -> None:
    shown = watch(app).wait_log("ready in")
    assert f"  app        {app}, {nature} in {APPS}/factories.py, imported in " in shown


def test_the_greeting_of_a_preloaded_application(watch) -> None:
    shown = watch("--preload", "-w", "2", "hello:app").wait_log("2 ready in")
    assert shown.count("  app  ") == 1
    assert shown.index("  app  ") < shown.index("  listening  ")


def test_after_the_greeting_the_log_is_as_ever(watch) -> None:
    server = watch("hello:app")
    server.wait_log("1 ready in")
    server.send(signal.SIGTTIN)
    shown = server.wait_log("Booting worker with pid: ")
    assert "Handling signal: ttin" in shown
    server.send(signal.SIGHUP)
    assert "Hang up: Master" in server.wait_log("Booting worker with pid: ", 2)
    assert server.stderr.count(" ready in ") == 1


def test_the_log_itself_for_whoever_asks_for_details(watch) -> None:
    shown = watch("--log-level", "debug", "hello:app").wait_log("Booting worker with pid")
    assert "Listening at: http://" in shown
    assert "listening  " not in shown


def test_silence_for_whoever_asks_for_less(watch) -> None:
    server = watch("--log-level", "warning", "hello:app")
    servers.eventually(server.listening, "the server listens")
    server.wait_workers(1)
    assert server.stop() == 0
    assert server.shown() == ""


@pytest.mark.parametrize("streams", [("stdin",), ("stdin", "stdout")])
def test_a_log_that_goes_elsewhere_is_not_for_the_terminal(watch, streams: tuple[str, ...]) -> None:
    server = watch("hello:app", streams=streams)
    servers.eventually(server.listening, "the server listens")
    assert server.stop() == 0
    assert server.shown() == ""


def test_no_greeting_in_a_file(watch, tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    server = watch("--error-logfile", str(log), "hello:app")
    servers.eventually(lambda: log.exists() and "Booting worker" in log.read_text(), "the log")
    assert server.stop() == 0
    assert server.shown() == ""
    text = log.read_text()
    assert all(line.startswith("[20") for line in text.splitlines()), text
    assert "Starting rwsgi" in text
    assert COLOUR not in text


def test_no_greeting_in_a_pipe(serve) -> None:
    server = serve()
    text = server.wait_log("Booting worker")
    assert all(line.startswith("[20") for line in text.splitlines()), text
    assert "Listening at: " in text
    assert COLOUR not in text


def test_no_greeting_of_a_daemon(watch, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    server = watch("-D", "-p", str(pid), "--error-logfile", str(tmp_path / "log"), "hello:app")
    assert server.wait_exit() == 0
    os.kill(int(pid.read_text()), signal.SIGTERM)
    servers.eventually(lambda: not pid.exists(), "the daemon is gone")
    assert server.shown() == ""


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_of_levels(watch, env: dict[str, str], coloured: bool) -> None:
    server = watch("hello:app", env=env)
    server.wait_log("ready in")
    assert server.stop() == 0
    level = r"\x1b\[32mINFO\x1b\[0m" if coloured else "INFO"
    assert re.search(rf"^\[20.*\] \[\d+\] \[{level}\] Handling signal: term$", server.shown(), re.MULTILINE)
    assert (COLOUR in server.stderr) == coloured


def test_colours_in_a_pipe_only_by_force(serve) -> None:
    server = serve(env={"FORCE_COLOR": "1"})
    assert "[\x1b[32mINFO\x1b[0m] Starting rwsgi" in server.wait_log("Booting worker")


def test_colours_of_errors_before_there_is_a_log(watch) -> None:
    assert watch("--nope").shown().startswith("\x1b[31mError:\x1b[0m unexpected argument '--nope'\n")
    assert watch("--nope", env={"NO_COLOR": "1"}).shown().startswith("Error: unexpected")


def test_ctrl_c_is_no_warning(watch) -> None:
    """A terminal sends it to every process of the group, and the master stops its workers by it, too."""
    server = watch("-w", "2", "hello:app")
    server.wait_log("ready in")
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait_exit() == 0
    assert "WARNING" not in server.shown()


def test_a_good_configuration_is_confirmed_to_a_person_alone(watch, run) -> None:
    server = watch("--check-config", "hello:app")
    assert server.wait_exit() == 0
    assert server.shown() == (
        f"The configuration is good, and hello:app is an application (a function in {APPS}/hello.py).\n"
    )
    assert run("--check-config", "hello:app") == (0, "", "")


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("columns", [60, 80, 100])
def test_help_is_as_wide_as_the_terminal(watch, flag: str, columns: int) -> None:
    shown = watch(flag, columns=columns).shown()
    # Names and values that have no place to be broken at.
    lines = [line for line in shown.splitlines() if len(line.split()) > 1 and not line.startswith("  rwsgi")]
    assert max(map(len, lines)) <= columns
    assert shown.startswith("A server for Python web applications.\n\nUsage: rwsgi")
    assert "`" not in shown
