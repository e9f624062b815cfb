"""Which applications are refused for being ASGI ones, and what is guessed where none is named.

The first must never be a WSGI application, however unusual; the second is only a hint.
Read next: test_failure_texts.py.
"""

from pathlib import Path

import pytest

APPLICATIONS = """
import functools
from unittest import mock

async def function(scope, receive, send): pass
async def with_more(scope, receive, send, extra=None): pass

class Object:
    async def __call__(self, scope, receive, send): pass
    async def method(self, scope, receive, send): pass

instance, method = Object(), Object().method

class Double:
    def __init__(self, scope): pass
    async def __call__(self, receive, send): pass


def wsgi(environ, start_response): return []
partial = functools.partial(wsgi)

class Wsgi:
    def __call__(self, environ, start_response): return []
    async def asgi(self, scope, receive, send): pass

wsgi_instance = Wsgi()

class Response:
    def __init__(self, environ, start_response): pass
    def __iter__(self): return iter([])
    async def __call__(self, receive, send): pass

class Either:
    def __call__(self, *arguments): return []

either = Either()
async def any_number(*arguments): pass
async def two(environ, start_response): pass

def wrapping(function):
    @functools.wraps(function)
    def wrapper(*arguments): return []
    return wrapper

wrapped = wrapping(function)

class Hostile:
    def __getattr__(self, name): raise RuntimeError(name)
    def __call__(self, environ, start_response): return []

hostile = Hostile()

class Unsigned:
    __signature__ = 1
    async def __call__(self, *arguments): pass

unsigned = Unsigned()
builtin, kind, anything = print, dict, mock.MagicMock()
"""


@pytest.mark.parametrize("name", ["function", "with_more", "Object", "instance", "method", "Double"])
def test_what_can_be_nothing_but_asgi_is_refused_by_classes_for_wsgi(run, tmp_path: Path, name: str) -> None:
    (tmp_path / "cases.py").write_text(APPLICATIONS)
    assert run("--check-config", f"cases:{name}", cwd=tmp_path) == (0, "", "")
    status, _, stderr = run("--check-config", "-k", "sync", f"cases:{name}", cwd=tmp_path)
    assert (status, f"cases:{name} is an ASGI application; " in stderr) == (1, True), stderr


@pytest.mark.parametrize(
    "name",
    [
        *("wsgi", "partial", "Wsgi", "wsgi_instance", "Response", "Either", "either", "any_number", "two"),
        *("wrapped", "hostile", "Unsigned", "unsigned", "builtin", "kind", "anything"),
    ],
)
def test_everything_else_passes(run, tmp_path: Path, name: str) -> None:
    (tmp_path / "cases.py").write_text(APPLICATIONS)
    assert run("--check-config", "-k", "sync", f"cases:{name}", cwd=tmp_path) == (0, "", "")


def test_a_factory_in_the_place_of_its_application_is_told_once(serve, tmp_path: Path) -> None:
    (tmp_path / "factory.py").write_text("def create_app():\n    return print\n")
    server = serve("-w", "2", app="factory:create_app", cwd=tmp_path)
    server.wait_workers(2)
    server.wait_log("did you mean 'factory:create_app()'?")
    assert server.stop() == 0
    assert server.stderr.count("did you mean") == 1


@pytest.mark.parametrize(
    ("source", "guess"),
    [
        ("app = Flask(__name__)\n", "app:app"),
        ("import flask\nserver = flask.Flask(__name__)\n", "app:server"),
        ("app = 1\napplication = app\n", "app:application"),
        ("from shop import site as application\n", "app:application"),
        ("def create_app(config=None): pass\n", "'app:create_app()'"),
        ("def create_app(config): pass\n", None),
        ("def hello(environ, start_response): pass\n", "app:hello"),
        ("if True:\n    app = x()\nelse:\n    pass\n", "app:app"),
        ("x = 1\n[y] = [2]\nz.w = 3\n", None),
        ("def (:\n", None),
    ],
)
def test_what_a_file_defines_is_guessed_and_never_run(run, tmp_path: Path, source: str, guess: str) -> None:
    (tmp_path / "app.py").write_text("open('run', 'w')\n" + source)
    status, _, stderr = run(cwd=tmp_path)
    assert status == 1
    example = "Name it as MODULE:CALLABLE, for example: rwsgi hello:app"
    expected = f"Perhaps: rwsgi {guess}" if guess else example
    assert stderr == f"Error: No application module specified.\n  {expected}\n"
    assert not (tmp_path / "run").exists()


def test_an_unusual_module_is_found_too(run, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import flask\nsite = flask.Flask('shop')\n")
    (tmp_path / "setup.py").write_text("def main(one, two): pass\n")
    assert "Perhaps: rwsgi shop:site\n" in run(cwd=tmp_path)[2]


@pytest.mark.parametrize(
    ("variable", "value", "warned"),
    [
        ("RWSGI_WORKER", "3", "(did you mean 'RWSGI_WORKERS'?)"),
        ("RWSGI_NOTHING_LIKE_IT", "3", "(no setting has this name)"),
        ("RWSGI_SERVICE_HOST", "10.0.0.1", None),
        ("RWSGI_WEB_SERVICE_PORT_HTTP", "80", None),
        ("RWSGI_PORT", "tcp://10.0.0.1:80", None),
        ("RWSGI_PORT_80_TCP_ADDR", "10.0.0.1", None),
        ("RWSGI_CMD_ARGS", "", None),
    ],
)
def test_variables_that_are_no_settings(run, variable: str, value: str, warned: str | None) -> None:
    status, _, stderr = run("--check-config", "hello:app", env={variable: value})
    expected = f"Warning: unknown variable '{variable}' {warned}\n" if warned else ""
    assert (status, stderr) == (0, expected)
