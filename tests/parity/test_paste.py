"""Applications of PasteDeploy files: with `--paste`, and as the server that `pserve` starts.

Owns the files; pserve is stood for by the few lines of it that matter. Read next: ../apps/pasted.py.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import server as servers
from client import fetch
from server import APPS, Running, eventually, title_of

INI = """[DEFAULT]
owner = everyone

[app:main]
paste.app_factory = pasted:make
greeting = hello
place = %(here)s

[app:admin]
paste.app_factory = pasted:make
greeting = welcome
for = %(who)s

[app:failing]
paste.app_factory = pasted:failing

[app:nothing]
paste.app_factory = pasted:nothing

[server:main]
use = egg:gunicorn#main
workers = 3
"""
LOGGERS = """
[loggers]
keys = root, gunicorn
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
handlers =
[logger_gunicorn]
qualname = gunicorn.error
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = from the ini: %(message)s
"""
PSERVE = """
import sys
from paste.deploy import loadapp, loadserver
uri = "config:" + sys.argv[1]
server, app = loadserver(uri), loadapp(uri)
try:
    server(app)
except SystemExit as leaving:
    print(f"Exiting {leaving}")
"""


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    path = tmp_path / "app.ini"
    path.write_text(INI)
    return path


def made_from(server: Running) -> dict[str, dict[str, str]]:
    return json.loads(fetch(server.address).body)


def test_an_application(serve, ini: Path) -> None:
    server = serve("--paste", str(ini), app="")
    assert made_from(server)["local"] == {"greeting": "hello", "place": str(ini.parent)}
    assert made_from(server)["global"] == {
        "owner": "everyone",
        "here": str(ini.parent),
        "__file__": str(ini),
    }
    assert title_of(server.pid) == server.kind.title("master", str(ini))
    assert len(server.wait_workers(1)) == 1
    assert server.stop() == 0


@pytest.mark.parametrize("flag", ["--paste", "--paster"])
def test_a_section_and_variables(serve, ini: Path, flag: str) -> None:
    arguments = ["--paste-global", "who=me=you", "--paste-global", r"a\=b=c"]
    server = serve(flag, f"{ini}#admin", *arguments, app="")
    answer = made_from(server)
    assert answer["local"] == {"greeting": "welcome", "for": "me=you"}
    assert answer["global"].items() >= {"who": "me=you", "a=b": "c"}.items()


def test_a_relative_path_starts_at_the_launch(serve, ini: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "pasted.py").write_text((APPS / "pasted.py").read_text())
    server = serve("--paste", "app.ini", "--chdir", "elsewhere", app="", cwd=tmp_path)
    assert made_from(server)["local"]["greeting"] == "hello"


def test_it_comes_before_the_argument(serve, ini: Path) -> None:
    assert made_from(serve("--paste", str(ini), app="hello:app"))["local"]["greeting"] == "hello"


@pytest.mark.parametrize("arguments", [(), ("--preload",)])
@pytest.mark.parametrize(("section", "said"), [("absent", "No section 'absent'"), ("failing", "no database")])
def test_fails(run, ini: Path, section: str, said: str, arguments: tuple[str, ...]) -> None:
    status, _, stderr = run("-b", "127.0.0.1:0", *arguments, "--paste", f"{ini}#{section}")
    assert status == 3 or (arguments and status == 1)
    assert said in stderr


@pytest.mark.better("A factory that returns no application is an error before requests come.")
def test_no_application(run, ini: Path) -> None:
    status, _, stderr = run("--check-config", "--paste", f"{ini}#nothing")
    assert status == 1
    assert "Failed to find application object: 'nothing'" in stderr


@pytest.fixture
def embedded(kind, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """The command as a class, which programs make objects of."""
    started: list[Running] = []

    def embedded(*arguments: str) -> Running:
        home, port = servers.scratch(tmp_path), servers.free_port()
        program = replace(kind, program=(sys.executable, "-m", f"{kind.name}.app.wsgiapp"))
        words = ["-b", f"127.0.0.1:{port}", *arguments]
        process = servers.launch(program, words, home, cwd=tmp_path, env={"PYTHONPATH": str(APPS)})
        started.append(Running(kind, process, ("127.0.0.1", port), home))
        eventually(started[-1].listening, "the server listens")
        return started[-1]

    yield embedded
    for server in started:
        server.clean_up()


def test_the_command_as_a_class(embedded, ini: Path) -> None:
    server = embedded("--paste", "app.ini#admin", "--paste-global", "who=me", "hello:app")
    assert made_from(server)["local"] == {"greeting": "welcome", "for": "me"}
    assert server.stop() == 0


def test_a_missing_file(run, tmp_path: Path) -> None:
    status, _, stderr = run("--paste", "absent.ini", cwd=tmp_path)
    assert status == 1
    assert "absent.ini" in stderr


def test_loggers(serve, ini: Path) -> None:
    ini.write_text(INI + LOGGERS)
    server = serve("--paste", str(ini), app="")
    server.wait_log("from the ini: Listening at: ")


def test_loggers_of_the_config_file_win(serve, ini: Path, tmp_path: Path) -> None:
    ini.write_text(INI + LOGGERS)
    (tmp_path / "log.ini").write_text(LOGGERS.replace("from the ini", "from elsewhere"))
    (tmp_path / "conf.py").write_text(f"logconfig = {str(tmp_path / 'log.ini')!r}\n")
    server = serve("--paste", str(ini), "-c", str(tmp_path / "conf.py"), app="")
    server.wait_log("from elsewhere: Listening at: ")


def test_hup_reads_the_file_again(serve, ini: Path) -> None:
    server = serve("--paste", str(ini), app="")
    before = server.wait_workers(1)
    ini.write_text(INI.replace("hello", "good morning"))
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)
    assert made_from(server)["local"]["greeting"] == "good morning"


@pytest.mark.better("`paste` may be set in the config file and in the arguments variable too.")
@pytest.mark.parametrize("where", ["file", "variable"])
def test_set_elsewhere(serve, kind, ini: Path, tmp_path: Path, where: str) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(f"paste = {str(ini)!r}\n" if where == "file" else "")
    env = {kind.command_arguments_variable: f"--paste {ini}"} if where == "variable" else {}
    assert made_from(serve("-c", str(conf), app="", env=env))["local"]["greeting"] == "hello"


@pytest.mark.better("An application on the command line is served in place of one that the config file has.")
def test_the_argument_wins_over_the_file(serve, ini: Path, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text(f"paste = {str(ini)!r}\n")
    assert fetch(serve("-c", str(tmp_path / "conf.py")).address).body == b"hello\n"


@pytest.fixture
def pserve(kind, ini: Path, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """The server that `use = egg:…#main` names, with these lines in its section."""
    started: list[Running] = []

    def pserve(*lines: str, waits: bool = True) -> Running:
        port = servers.free_port()
        section = "\n".join(
            [
                f"use = egg:{kind.name}#main",
                # gunicorn's would be in a directory that all tests share.
                *(["control_socket_disable = true"] if kind.name == "gunicorn" else []),
                *(line.format(port=port) for line in lines),
            ]
        )
        ini.write_text(INI.partition("[server:main]")[0] + f"[server:main]\n{section}\n")
        home = servers.scratch(tmp_path)
        command = replace(kind, program=(sys.executable, "-c", PSERVE), always=())
        env = {"PYTHONPATH": str(APPS)}
        process = servers.launch(command, [str(ini)], home, cwd=tmp_path, env=env)
        server = Running(kind, process, ("127.0.0.1", port), home)
        started.append(server)
        if waits:
            eventually(server.listening, "the server listens")
        return server

    yield pserve
    for server in started:
        server.clean_up()


def test_a_server_section(pserve, ini: Path) -> None:
    server = pserve("host = 127.0.0.1", "port = {port}", "workers = 2", "WORKER_CLASS = sync")
    assert len(server.wait_workers(2)) == 2
    assert made_from(server)["local"]["greeting"] == "hello"
    assert title_of(server.pid) == server.kind.title("master", str(ini))
    assert server.stop() == 0


def test_a_section_wins_over_the_config_file(pserve, kind, tmp_path: Path) -> None:
    (tmp_path / kind.config_file).write_text("workers = 1\ntimeout = 77\nloglevel = 'debug'\n")
    server = pserve("host = 127.0.0.1:{port}", "workers = 2")
    assert len(server.wait_workers(2)) == 2
    assert "timeout" in server.wait_log("77")


def test_a_section_names_the_config_file(pserve, kind, tmp_path: Path) -> None:
    (tmp_path / kind.config_file).write_text("raise RuntimeError('this one is not asked for')\n")
    (tmp_path / "other.py").write_text("workers = 2\n")
    server = pserve("host = 127.0.0.1", "port = {port}", "config = other.py")
    assert len(server.wait_workers(2)) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [("workers = many", "many"), ("wrokers = 2", "wrokers"), ("config = absent.py", "absent.py")],
)
def test_a_bad_section(pserve, line: str, said: str) -> None:
    server = pserve(line, waits=False)
    server.wait_exit()
    assert said in server.stderr
    assert "Booting worker" not in server.stderr


@pytest.mark.better("A port without a host is used, in the server section of a PasteDeploy file.")
def test_a_port_alone(pserve) -> None:
    server = pserve("port = 1", "host =", "print_config = true", waits=False)
    server.wait_exit()
    assert re.search(r"^bind += .*127\.0\.0\.1:1\b", server.stdout, re.MULTILINE)


def test_the_arguments_are_of_another_program(pserve, ini: Path) -> None:
    """Its one argument would be an application."""
    server = pserve("bind = 127.0.0.1:{port}")
    assert made_from(server)["local"]["greeting"] == "hello"


@pytest.mark.better("Under `pserve` HUP reads the file again and loads the application anew.")
def test_hup_under_pserve(pserve, ini: Path) -> None:
    server = pserve("host = 127.0.0.1", "port = {port}")
    before = server.wait_workers(1)
    ini.write_text(ini.read_text().replace("hello", "good morning"))
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)
    assert made_from(server)["local"]["greeting"] == "good morning"
    assert server.stop() == 0


@pytest.mark.better(
    "A server that `pserve` has started ends with its own exit status, and its workers say nothing."
)
def test_the_exit_status_under_pserve(pserve) -> None:
    server = pserve("workers = many", waits=False)
    assert server.wait_exit() == 1
    server = pserve("host = 127.0.0.1", "port = {port}", "workers = 2")
    server.wait_workers(2)
    assert server.stop() == 0
    assert "Exiting" not in server.stdout
