"""rwsgi.toml, pyproject.toml, which default file is read, and reports of what is wrong in a file.

Owns what is ours alone. Must never need gunicorn to be absent: a stub in front of the import system hides it.
Read next: parity/test_settings.py, for the Python files both servers read.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from client import fetch
from server import APPS

# What hides gunicorn from the interpreter that has this file on its path.
WITHOUT_GUNICORN = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec


def find_spec(name, *rest):
    return None if name.partition(".")[0] == "gunicorn" else find(name, *rest)


PathFinder.find_spec = find_spec
"""


@pytest.fixture
def project(tmp_path: Path):
    """A directory with an application and these files."""

    def project(**files: str) -> Path:
        (tmp_path / "hello.py").write_text((APPS / "hello.py").read_text())
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        return tmp_path

    return project


@pytest.fixture
def printed(run, project):
    """Of each setting the value and where it came from; and what was said."""

    def printed(*arguments: str, **files: str) -> tuple[dict[str, tuple[str, str]], str]:
        status, stdout, stderr = run("--print-config", *arguments, "hello:app", cwd=project(**files))
        assert status == 0, stderr
        lines = re.findall(r"^(\w+) += (.*?) +# (.*)$", stdout, re.MULTILINE)
        return {name: (value, origin) for name, value, origin in lines}, stderr

    return printed


TOML = """bind = ["127.0.0.1:{port}"]
workers = 2
raw_env = "A=b"

[secure_scheme_headers]
X-SSL = "on"
"""


def test_toml(printed) -> None:
    values, stderr = printed(rwsgi__toml=TOML.format(port=0))
    assert values["workers"] == ("2", "rwsgi.toml:2")
    assert values["bind"] == ("['127.0.0.1:0']", "rwsgi.toml:1")
    assert values["raw_env"] == ("['A=b']", "rwsgi.toml:3")
    assert values["secure_scheme_headers"] == ("{'X-SSL': 'on'}", "rwsgi.toml:5")
    assert values["config"][0] == "'rwsgi.toml'"
    assert stderr == ""


def test_toml_by_name(printed) -> None:
    values, stderr = printed("-c", "other.toml", other__toml="workers = 7\n", rwsgi__toml="workers = 8\n")
    assert values["workers"] == ("7", "other.toml:1")
    assert stderr == ""


def test_toml_stands_where_a_python_file_does(printed) -> None:
    values, _ = printed("-w", "5", rwsgi__toml="workers = 7\nbacklog = 9\n")
    assert values["workers"] == ("5", "command line")
    assert values["backlog"] == ("9", "rwsgi.toml:2")


def test_pyproject(printed) -> None:
    text = "[project]\nname = 'shop'\n\n[tool.rwsgi]\nworkers = 3\n"
    values, stderr = printed(pyproject__toml=text)
    assert values["workers"] == ("3", "pyproject.toml:5")
    assert stderr == ""


@pytest.mark.parametrize("text", ["[project]\nname = 'shop'\n", "[tool.other]\nworkers = 3\n", "= broken\n"])
def test_a_pyproject_without_our_table(printed, text: str) -> None:
    values, stderr = printed(pyproject__toml=text)
    assert values["workers"] == ("1", "default")
    assert stderr == ""


DEFAULTS = {
    "rwsgi__conf__py": "workers = 2\n",
    "rwsgi__toml": "workers = 3\n",
    "gunicorn__conf__py": "workers = 4\n",
    "pyproject__toml": "[tool.rwsgi]\nworkers = 5\n",
}


@pytest.mark.parametrize("first", range(len(DEFAULTS)))
def test_the_first_default_file_is_read(printed, first: int) -> None:
    files = dict(list(DEFAULTS.items())[first:])
    values, stderr = printed(**files)
    name, *others = (name.replace("__", ".") for name in files)
    assert values["workers"][0] == str(first + 2)
    assert values["workers"][1].startswith(f"{name}:")
    said = [f"Warning: {other} is not read, because there is {name}" for other in others]
    assert stderr.splitlines() == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workers = 2\n\nwrokers = 3\n", "rwsgi.toml:3: unknown setting 'wrokers' (did you mean 'workers'?)"),
        ("[database]\nurl = 'x'\n", "rwsgi.toml:1: unknown setting 'database'"),
        ("bind = ':0'\nworkers = 'many'\n", "rwsgi.toml:2: invalid value for workers: 'many': must be"),
        ("timeout = 1.5\n", "rwsgi.toml:1: invalid value for timeout: 1.5"),
        ("workers = true\n", "rwsgi.toml:1: invalid value for workers: True"),
        ("dirty_workers = 2\n", "rwsgi.toml:1: dirty_workers is not supported yet: "),
        ("workers = 2\nbind = [\n", "rwsgi.toml:2: not TOML: "),
        ("on_exit = 'hello.nope'\n", "rwsgi.toml:1: invalid value for on_exit: 'hello.nope': Can not load"),
        ("config = 'x.py'\n", "rwsgi.toml:1: a config file cannot name another one"),
    ],
)
def test_bad_toml(run, project, text: str, said: str) -> None:
    status, _, stderr = run("--check-config", "hello:app", cwd=project(rwsgi__toml=text))
    assert status == 1
    assert stderr.startswith(f"Error: {said}"), stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("-c", "absent.toml"), "'absent.toml' doesn't exist"), (("-c", "pyproject.toml"), "[tool.rwsgi]")],
)
def test_a_toml_file_that_is_not_there(run, project, arguments: tuple[str, ...], said: str) -> None:
    status, _, stderr = run(*arguments, "hello:app", cwd=project(pyproject__toml="[project]\nname = 'x'\n"))
    assert status == 1
    assert said in stderr


def test_hooks_and_hup_in_toml(serve, project) -> None:
    home = project(
        rwsgi__toml="workers = 1\nwhen_ready = 'told.ready'\n",
        told__py="def ready(server):\n    server.log.info('the hook in told.py')\n",
    )
    server = serve(cwd=home)
    server.wait_log("the hook in told.py")
    server.wait_workers(1)
    project(rwsgi__toml="workers = 2\n")
    server.send(signal.SIGHUP)
    server.wait_workers(2)
    project(rwsgi__toml="workers = 'many'\n")
    server.send(signal.SIGHUP)
    server.wait_log("rwsgi.toml:1: invalid value for workers: 'many'")
    assert fetch(server.address).body == b"hello\n"
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "from gunicorn.glogging import Logger\n",
            ["conf.py:1  from gunicorn", "gunicorn.glogging.Logger is rwsgi.glogging.Logger here."],
        ),
        (
            "workers = 2\nfrom gunicorn.workers.ggevent import (\n    GeventWorker,\n)\n",
            ["conf.py:2  from gunicorn", "worker_class = 'gevent'"],
        ),
        (
            "import gunicorn\n\ngunicorn.SERVER_SOFTWARE = 'x'\nlogger_class = gunicorn.glogging.Logger\n",
            [
                "conf.py:1  import gunicorn",
                "nothing for gunicorn.SERVER_SOFTWARE",
                "is rwsgi.glogging.Logger",
            ],
        ),
        ("import gunicorn.glogging as logs\nlogger_class = logs.Logger\n", ["is rwsgi.glogging.Logger here"]),
        ("from gunicorn.instrument.statsd import Statsd\n", ["statsd_host"]),
        ("def f():\n    from gunicorn import arbiter\n\n\nf()\n", ["conf.py:5  f()", "gunicorn.arbiter"]),
        ("import helper\n", ["helper.py:1  from gunicorn.config import Config", "gunicorn.config.Config"]),
        ("import gunicorn\n", ["pip install gunicorn"]),
    ],
)
def test_a_name_of_gunicorns_without_gunicorn(run, project, text: str, said: list[str]) -> None:
    home = project(
        conf__py=text, helper__py="from gunicorn.config import Config\n", sitecustomize__py=WITHOUT_GUNICORN
    )
    status, _, stderr = run("-c", "conf.py", "hello:app", cwd=home, env={"PYTHONPATH": str(home)})
    assert status == 1
    assert all(words in stderr for words in ["conf.py", "gunicorn is not installed", *said]), stderr
    assert len(stderr.splitlines()) <= 6, stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import json\njson.loads('{')\n", ["JSONDecodeError: ", "conf.py:2  json.loads"]),
        (
            "def f(n):\n    return f(n - 1) if n else 1 / n\n\n\nf(9)\n",
            ["conf.py:5  f(9)", "conf.py:2  return"],
        ),
        ("workers = 1\nbind = (\n", ["SyntaxError: ", "conf.py:2  bind = ("]),
        ("raise SystemExit('no')\n", ["SystemExit: no", "conf.py:1  raise"]),
        ("import not_there\n", ["No module named 'not_there'", "conf.py:1  import not_there"]),
    ],
)
def test_a_file_that_raises(run, project, text: str, said: list[str]) -> None:
    status, _, stderr = run("-c", "conf.py", "hello:app", cwd=project(conf__py=text))
    assert status == 1
    assert all(words in stderr for words in ["Failed to read config file: conf.py", *said]), stderr
    assert len(stderr.splitlines()) <= 6, stderr
    assert "json/decoder.py" not in stderr
