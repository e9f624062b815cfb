"""`--reload` and `--spew`: an edited file is served, a broken one is shown, every line is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from client import fetch
from server import Running, eventually

APP = """
import part


def app(environ, start_response):
    body = part.TEXT.encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
Develop = Callable[..., tuple[Running, Path]]


@pytest.fixture
def develop(serve, tmp_path: Path) -> Develop:
    """A server with --reload, and the directory of its application."""

    def develop(*arguments: str, part: str = "TEXT = 'one'\n") -> tuple[Running, Path]:
        project = tmp_path / "project"
        project.mkdir()
        (project / "shop.py").write_text(APP)
        (project / "part.py").write_text(part)
        words = ["--reload", "--reload-engine", "poll", *arguments]
        return serve(*words, app="shop:app", cwd=project), project

    return develop


def answers(server: Running, body: bytes, status: int = 200) -> bool:
    try:
        response = fetch(server.address)
    except OSError:
        # gunicorn's worker resets whom it has not served when it leaves.
        return False
    return response.status == status and body in response.body


def saved_until(file: Path, condition: Callable[[], bool], what: str) -> None:
    """Edits again and again: gunicorn's poll takes what it first sees for unchanged, the edit perhaps."""

    def settled() -> bool:
        if condition():
            return True
        file.touch()
        return False

    eventually(settled, what)


def test_an_edit_is_served(develop) -> None:
    server, project = develop()
    assert fetch(server.address).body == b"one"
    part = project / "part.py"
    part.write_text("TEXT = 'another'\n")
    saved_until(part, lambda: answers(server, b"another"), "the new answer")
    assert f"Worker reloading: {project / 'part.py'} modified" in server.stderr
    assert "[WARNING] Reloader is on. Use in development only!" in server.stderr
    assert server.stop() == 0


def test_a_syntax_error_is_shown_until_it_is_mended(develop) -> None:
    server, project = develop()
    assert fetch(server.address).body == b"one"
    part = project / "part.py"
    part.write_text("TEXT = 'three\n")
    saved_until(part, lambda: answers(server, b"SyntaxError", 500), "the error")
    part.write_text("TEXT = 'mended'\n")
    saved_until(part, lambda: answers(server, b"mended"), "the new answer")


def test_an_extra_file(develop, tmp_path: Path) -> None:
    extra = tmp_path / "page.html"
    extra.write_text("x")
    server, _ = develop("--reload-extra-file", str(extra))
    before = server.wait_workers(1)
    assert fetch(server.address).body == b"one"
    extra.write_text("longer")
    saved_until(extra, lambda: server.workers() not in ([], before), "another worker")


def test_an_extra_file_that_is_not_there(run) -> None:
    status, _, stderr = run("--reload-extra-file", "nowhere", "hello:app")
    assert status == 1
    assert "nowhere" in stderr


def test_a_bad_engine(run) -> None:
    status, _, stderr = run("--reload-engine", "magic", "hello:app")
    assert status == 1
    assert "magic" in stderr


def test_worker_int_is_called(serve, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "part.py").write_text("TEXT = 'one'\n")
    (tmp_path / "conf.py").write_text("def worker_int(worker):\n    worker.log.info('told %s', worker.pid)\n")
    server = serve("-c", "conf.py", "--reload", "--reload-engine", "poll", app="shop:app", cwd=tmp_path)
    (worker,) = server.wait_workers(1)
    fetch(server.address)
    part = tmp_path / "part.py"
    part.write_text("TEXT = 'another'\n")
    saved_until(part, lambda: f"told {worker}" in server.stderr, "the hook")


def test_spew(serve) -> None:
    server = serve("--spew")
    assert fetch(server.address).body == b"hello\n"
    assert server.stop() == 0
    assert 'hello:5:     start_response("200 OK"' in server.stdout
