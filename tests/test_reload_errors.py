"""`--reload` survives whatever is saved, and notices every way of saving it."""

from __future__ import annotations

import signal
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
BROKEN = {
    "syntax": ("TEXT = (\n", "SyntaxError"),
    "import": ("import not_there\nTEXT = 'x'\n", "No module named 'not_there'"),
    "name": ("TEXT = undefined\n", "NameError"),
    "raise": ("raise RuntimeError('no database')\n", "RuntimeError: no database"),
    "exit": ("import sys\nsys.exit(3)\n", "SystemExit"),
    "encoding": ("TEXT = '\udcff'\n", "SyntaxError"),
}


@pytest.fixture
def develop(serve, tmp_path: Path) -> Callable[..., Running]:
    """A server with --reload on the application in `tmp_path`."""

    def develop(*arguments: str, part: str | None = "TEXT = 'one'\n", app: str = "shop:app") -> Running:
        (tmp_path / "shop.py").write_text(APP)
        if part is not None:
            save(tmp_path / "part.py", part)
        return serve("--reload", *arguments, app=app, cwd=tmp_path)

    return develop


def save(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def wait_answer(server: Running, body: str, status: int = 200) -> None:
    def answered() -> bool:
        # Every request is answered: none is lost between the old worker and the new one.
        response = fetch(server.address)
        return response.status == status and body.encode() in response.body

    eventually(answered, f"{status} {body}\n{server.stderr}")


@pytest.mark.parametrize("engine", ["inotify", "poll"])
@pytest.mark.parametrize("kind_of_error", BROKEN)
def test_every_error_is_shown_and_mended(develop, tmp_path: Path, kind_of_error: str, engine: str) -> None:
    source, said = BROKEN[kind_of_error]
    server = develop("--reload-engine", engine)
    wait_answer(server, "one")
    save(tmp_path / "part.py", source)
    wait_answer(server, said, 500)
    assert "part.py" in fetch(server.address).body.decode()
    save(tmp_path / "part.py", "TEXT = 'mended'\n")
    wait_answer(server, "mended")
    assert server.stop() == 0
    assert server.stderr.count("Cannot load shop:app") == 1


@pytest.mark.parametrize("kind_of_error", BROKEN)
def test_a_start_waits_for_the_mend(develop, tmp_path: Path, kind_of_error: str) -> None:
    source, said = BROKEN[kind_of_error]
    server = develop(part=source)
    wait_answer(server, said, 500)
    assert fetch(server.address).value("Content-Type") == "text/plain; charset=utf-8"
    save(tmp_path / "part.py", "TEXT = 'mended'\n")
    wait_answer(server, "mended")


def test_a_module_that_is_made_later(develop, tmp_path: Path) -> None:
    server = develop(part=None)
    wait_answer(server, "No module named 'part'", 500)
    (tmp_path / "part").mkdir()
    save(tmp_path / "part" / "__init__.py", "TEXT = 'made'\n")
    wait_answer(server, "made")


def test_a_callable_that_is_missing(develop, tmp_path: Path) -> None:
    server = develop(app="shop:ap")
    wait_answer(server, "Failed to find attribute 'ap' in 'shop'.", 500)
    save(tmp_path / "shop.py", APP + "\n\nap = app\n")
    wait_answer(server, "one")


def test_a_save_by_rename(develop, tmp_path: Path) -> None:
    server = develop()
    wait_answer(server, "one")
    save(tmp_path / "part.py~", "TEXT = 'renamed'\n")
    (tmp_path / "part.py~").rename(tmp_path / "part.py")
    wait_answer(server, "renamed")


def test_edits_in_quick_succession(develop, tmp_path: Path) -> None:
    server = develop("-w", "2")
    for number in range(15):
        save(tmp_path / "part.py", f"TEXT = 'number {number}.'\n")
        wait_answer(server, f"number {number}.")
    assert "Workers keep dying" not in server.stderr


def test_all_workers_reload(develop, tmp_path: Path) -> None:
    server = develop("-w", "3")
    before = server.wait_workers(3)
    wait_answer(server, "one")
    save(tmp_path / "part.py", "TEXT = (\n")
    server.wait_workers(3, unlike=before)
    for _ in range(20):
        assert fetch(server.address).status == 500
    eventually(lambda: server.stderr.count("Booting worker") == 6, "three workers more")
    assert server.stop() == 0
    assert server.stderr.count("Cannot load shop:app") == 1
    assert server.stderr.count("Reloader is on") == 1


def test_the_config_file(develop, tmp_path: Path) -> None:
    save(tmp_path / "conf.py", "workers = 2\n")
    server = develop("-c", "conf.py")
    server.wait_workers(2)
    wait_answer(server, "one")
    save(tmp_path / "conf.py", "workers = 3\n")
    server.wait_workers(3)
    save(tmp_path / "conf.py", "workers = 'many'\n")
    server.wait_log("Reload failed")
    wait_answer(server, "one")
    save(tmp_path / "conf.py", "workers = 1\n")
    server.wait_workers(1)
    assert server.stop() == 0


def test_a_preloaded_application(develop, tmp_path: Path) -> None:
    server = develop("--preload")
    wait_answer(server, "one")
    save(tmp_path / "part.py", "TEXT = (\n")
    server.wait_log("Reload failed")
    wait_answer(server, "one")
    save(tmp_path / "part.py", "TEXT = 'mended'\n")
    wait_answer(server, "mended")


def test_patterns_and_what_they_leave_out(develop, tmp_path: Path) -> None:
    pages, module = tmp_path / "pages" / "deep", tmp_path / "node_modules"
    environment = tmp_path / "env" / "lib"
    for folder in (pages, module, environment):
        folder.mkdir(parents=True)
        save(folder / "a.html", "x")
    save(tmp_path / "env" / "pyvenv.cfg", "")
    server = develop("--reload-extra-file", "**/*.html")
    before = server.wait_workers(1)
    wait_answer(server, "one")
    for folder in (module, environment):
        save(folder / "a.html", "another")
    save(pages / "a.html", "another")
    server.wait_workers(1, unlike=before)
    wait_answer(server, "one")
    assert f"Worker reloading: {pages / 'a.html'} modified" in server.stderr
    assert server.stderr.count("Worker reloading") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_obeys_and_lives(develop, number: signal.Signals) -> None:
    server = develop("--timeout", "1", part="TEXT = (\n")
    wait_answer(server, "SyntaxError", 500)
    before = server.wait_workers(1)
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)
    wait_answer(server, "SyntaxError", 500)
    assert server.stop(number) == 0
    assert "WORKER TIMEOUT" not in server.stderr
