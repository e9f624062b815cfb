"""Every way a first start fails, and all that the person at the terminal reads of it.

Owns the cases; the texts are in failures.txt, which `RWSGI_REGENERATE=1 pytest tests/test_failure_texts.py`
writes anew. What differs from run to run and from machine to machine stands there in capitals.
Read next: terminal.py.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import server as servers
from privileges import USER, readable
from server import RWSGI
from terminal import Watched, on_terminal

TEXTS = Path(__file__).parent / "failures.txt"
REGENERATE = "RWSGI_REGENERATE" in os.environ
# On a machine that does other things too; without these a start fails in a tenth of a second.
SECONDS = 5
LINES = 6

PROJECT = {
    "shop.py": "def app(environ, start_response):\n    return []\n\n\nsite = app\n",
    "imports.py": "import flask_login\n\napp = None\n",
    "renamed.py": "import yaml\n",
    "deep.py": "import deeper\n",
    "deeper.py": "def load():\n    raise RuntimeError('no database')\n\n\nload()\n",
    "syntax.py": "import shop\n\napp = = shop.app\n",
    "values.py": (
        "text = 'shop:app'\nnothing = None\n\n\n"
        "def application(environ, start_response):\n    return []\n\n\n"
        "def create_app():\n    pass\n"
    ),
    "blinker.py": "from blinker import Signal\n",
    "async_.py": (
        "async def app(scope, receive, send):\n    pass\n\n\n"
        "class Application:\n    async def __call__(self, scope, receive, send):\n        pass\n\n\n"
        "instance = Application()\n"
    ),
    "store/__init__.py": "",
    "store/app.py": "import helper\n\napplication = helper.make()\n",
    "store/helper.py": "",
    "store/wsgi.py": "app = 1\n",
    "package/__init__.py": "from . import app\n",
    "package/app.py": "def app(environ, start_response):\n    return []\n",
    "misspelt.py": "wrokers = 3\n",
    "wrong.py": "bind = ':8000'\ntimeout = 'soon'\n",
    "raises.py": "workers = 1 / 0\n",
    "flasky/app.py": "from flask import Flask\n\napp = Flask(__name__)\n",
    "factory/main.py": "def create_app():\n    return None\n",
    "asgi/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
    "django/manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'project.settings')\n",
    "django/project/__init__.py": "",
    "django/project/wsgi.py": "",
    "django/project/asgi.py": "async def application(scope, receive, send):\n    pass\n",
    "empty/.keep": "",
    "other/.venv/pyvenv.cfg": "",
    "other/.venv/lib/python3.11/site-packages/flask_login/__init__.py": "",
    "other/imports.py": "import flask_login\n",
    "directory.log/.keep": "",
}


@dataclass(frozen=True)
class Case:
    title: str
    arguments: str
    status: int
    cwd: str = "."
    env: dict[str, str] = field(default_factory=dict)


def loaded(title: str, spec: str, status: int, cwd: str = ".") -> Case:
    """Four workers, that would all tell the same."""
    return Case(title, f"-w 4 -b 127.0.0.1:0 {spec}", status, cwd)


CASES = [
    loaded("a module that is not installed", "imports:app", 3),
    loaded("a module whose package has another name", "renamed:app", 3),
    loaded("a module that another environment has", "imports:app", 3, "other"),
    loaded("a module beside the one that imports it", "store.app", 3),
    loaded("a file with the name of an installed module", "blinker:app", 3),
    loaded("an exception at import", "deep:app", 3),
    loaded("no Python", "syntax:app", 3),
    loaded("no such module", "nowhere:app", 3),
    loaded("a misspelt module", "shpo:app", 3),
    loaded("started inside the package", "store.wsgi:app", 3, "store"),
    loaded("a module of Python's in its place", "test:app", 4),
    loaded("no such callable", "shop:main", 4),
    loaded("a misspelt callable", "shop:sitte", 4),
    loaded("no callable: None", "values:nothing", 4),
    loaded("no callable: a string", "values:text", 4),
    loaded("no callable: a module", "package:app", 4),
    loaded("a factory that returns nothing", "values:create_app()", 4),
    loaded("an ASGI function", "-k sync async_:app", 4),
    loaded("an ASGI object", "-k sync async_:instance", 4),
    loaded("an ASGI class", "-k sync async_:Application", 4),
    loaded("Django's ASGI application", "-k sync project.asgi", 4, "django"),
    loaded("a WSGI application for the class asgi", "-k asgi shop:app", 4),
    loaded("a preloaded application", "--preload -k sync async_:app", 4),
    loaded("a file in place of a module", "shop.py", 3),
    loaded("a file in place of a module, with its callable", "store/wsgi.py:app", 3),
    Case("a port in use", "-b 127.0.0.1:{taken} shop:app", 1),
    Case("no number for a port", "-b 127.0.0.1:http shop:app", 1),
    Case("a port that is too high", "-b 127.0.0.1:99999 shop:app", 1),
    Case("a port for an address", "-b 8000 shop:app", 1),
    Case("a privileged port", "-b 127.0.0.1:80 shop:app", 1),
    Case("an address of no interface", "-b 203.0.113.1:8000 shop:app", 1),
    Case("a socket in a directory that is not there", "-b unix:run/shop.sock shop:app", 1),
    Case("a socket where a file is", "-b unix:shop.py shop:app", 1),
    Case("a misspelt flag", "--wrokers 3 shop:app", 2),
    Case("a flag cut too short", "--limit 3 shop:app", 2),
    Case("a flag without its value", "shop:app --bind", 2),
    Case("two applications", "shop:app store:app", 2),
    Case("no number", "-w many shop:app", 2),
    Case("no choice", "--log-level loud shop:app", 1),
    Case("a misspelt worker class", "-k gtread shop:app", 1),
    Case("a worker class of one's own that is not there", "-k shop.Worker shop:app", 3),
    Case("a setting that does not exist yet", "--certfile cert.pem shop:app", 2),
    Case("a misspelt setting", "-c misspelt.py --check-config shop:nope", 1),
    Case("a wrong value in the config file", "-c wrong.py shop:app", 1),
    Case("a config file that raises", "-c raises.py shop:app", 1),
    Case("a config file that cannot be read", "-c store shop:app", 1),
    Case("no such config file", "-c nowhere.py shop:app", 1),
    Case("a misspelt variable", "--check-config shop:nope", 1, env={"RWSGI_WORKER": "3", "RWSGI_X": "x"}),
    Case("a log in a directory that is not there", "--error-logfile log/error.log shop:app", 1),
    Case("a log that is a directory", "--error-logfile directory.log shop:app", 1),
    Case("an application that the log tells of", "-b 127.0.0.1:0 --error-logfile error.log shop:nope", 4),
    Case("no such directory", "--chdir nowhere shop:app", 1),
    Case("no application", "", 1, "empty"),
    Case("no application, where there is app.py", "", 1, "flasky"),
    Case("no application, where there is a factory", "", 1, "factory"),
    Case("no application, where there is an ASGI one", "", 1, "asgi"),
    Case("no application, where there is manage.py", "", 1, "django"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("project")
    for name, source in PROJECT.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(source)
    return directory


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def texts() -> dict[str, str]:
    parts = re.split(r"^## (.*)\n", TEXTS.read_text() if TEXTS.exists() else "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def normalised(text: str, project: Path, taken: int) -> str:
    """What is not the same everywhere, in capitals."""
    for known, name in [
        (str(project), "DIR"),
        (sys.prefix, "VENV"),
        (os.__file__.removesuffix("/os.py"), "LIB"),
        (f"127.0.0.1:{taken}", "127.0.0.1:TAKEN"),
        (f"127.0.0.1', {taken})", "127.0.0.1', TAKEN)"),
        (Path("/proc/self/comm").read_text().strip() + f" (pid {os.getpid()})", "NAME (pid PID)"),
    ]:
        text = text.replace(known, name)
    text = re.sub(r"^\[[-0-9]+ [:0-9]+ [-+0-9]+\] \[\d+\]", "[TIME] [PID]", text, flags=re.MULTILINE)
    text = re.sub(r"pid \d+", "pid PID", text)
    text = re.sub(r"(http://127.0.0.1|or try another port: -b 127.0.0.1):\d+", r"\1:PORT", text)
    text = re.sub(r"Python 3\.\d+\.\d+", "Python X.Y.Z", text)
    # Python says more from version to version.
    text = re.sub(r"(partially initialized module '\w+').*", r"\1 ...", text)
    return re.sub(r"^ +[~^]+\n", "", text, flags=re.MULTILINE)


def unprivileged() -> servers.Kind:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("no port is privileged here")
    if os.geteuid() != 0:
        return RWSGI
    setpriv = shutil.which("setpriv") or pytest.skip("no setpriv")
    changed = (f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--clear-groups", "--inh-caps=-all")
    kind = readable(RWSGI)
    return replace(kind, program=(setpriv, *changed, *kind.program))


def start(case: Case, home: Path, project: Path, taken: int) -> Watched:
    kind = unprivileged() if case.title == "a privileged port" else RWSGI
    words = case.arguments.format(taken=taken).split()
    return on_terminal(words, home, project / case.cwd, {"TERM": "dumb"} | case.env, kind=kind)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_text(tmp_path: Path, project: Path, taken: int, case: Case) -> None:
    began = time.monotonic()
    server = start(case, servers.scratch(tmp_path), project, taken)
    try:
        text = normalised(server.shown(), project, taken)
        taken_time = time.monotonic() - began
    finally:
        server.clean_up()
    command = f"$ rwsgi {case.arguments}".strip()
    text = f"{command}\n{text}[exit {server.process.returncode}]\n\n"
    if REGENERATE:
        known = texts() | {case.title: text}
        order = [other.title for other in CASES if other.title in known]
        TEXTS.write_text("".join(f"## {title}\n{known[title]}" for title in order))
    assert text == texts().get(case.title)
    assert server.process.returncode == case.status
    assert len(text.splitlines()) - 3 <= LINES, text
    assert taken_time < SECONDS


def test_every_text_has_its_case() -> None:
    assert list(texts()) == [case.title for case in CASES]
