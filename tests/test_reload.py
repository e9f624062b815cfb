"""Reloads that must not cost a request: slow imports, broken code, broken config files. Deaths at boot."""

import signal
import time
from pathlib import Path

import pytest
from client import fetch
from server import eventually


def write_app(directory: Path, answer: str, first: str = "") -> None:
    (directory / "changing.py").write_text(
        f"{first}\n"
        "def app(environ, start_response):\n"
        f"    start_response('200 OK', [('Content-Length', '{len(answer)}')])\n"
        f"    return [b'{answer}']\n"
        "import os\n"
        "with open(__file__ + '.loaded', 'a') as loaded:\n"
        "    loaded.write(f'{os.getpid()}\\n')\n"
    )


def wait_loaded(directory: Path, workers: list[int]) -> None:
    """Waits until each of `workers` is done with reading the application, which can then be rewritten."""

    def loaded() -> bool:
        pids = (directory / "changing.py.loaded").read_text().split()
        return set(map(str, workers)) <= set(pids)

    eventually(loaded, f"{workers} have loaded the application")


@pytest.fixture
def changing(serve, tmp_path: Path):
    """A server of an application that can be rewritten."""

    def changing(*arguments: str):
        write_app(tmp_path, "old")
        server = serve(*arguments, app="changing:app", cwd=tmp_path)
        assert fetch(server.address).body == b"old"
        return server

    return changing


@pytest.mark.parametrize("first", ["raise RuntimeError('broken')", "import not_there", "def ("])
def test_broken_code_leaves_the_old_generation_serving(changing, tmp_path: Path, first: str) -> None:
    server = changing("-w", "2")
    before = server.wait_workers(2)
    wait_loaded(tmp_path, before)
    write_app(tmp_path, "new", first)
    server.send(signal.SIGHUP)
    server.wait_log("changing.py")
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert fetch(server.address).body == b"old"
    assert set(before) <= set(server.workers())
    write_app(tmp_path, "new")
    server.send(signal.SIGHUP)
    server.wait_workers(2, unlike=before)
    assert fetch(server.address).body == b"new"
    assert server.stop() == 0


def test_the_old_generation_serves_until_the_new_one_can(changing, tmp_path: Path) -> None:
    server = changing()
    before = server.wait_workers(1)
    write_app(tmp_path, "new", "import time; time.sleep(3)")
    server.send(signal.SIGHUP)
    server.wait_log("Hang up: Master")
    answers = []
    while b"new" not in answers:
        start = time.monotonic()
        answers.append(fetch(server.address).body)
        assert time.monotonic() - start < 1
        assert len(answers) < 100_000
    assert b"old" in answers
    server.wait_workers(1, unlike=before)


def test_a_broken_config_file_leaves_everything_as_it_was(serve, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("workers = 2\n")
    server = serve("-c", str(config))
    before = server.wait_workers(2)
    server.wait_log("Booting worker with pid", 2)
    config.write_text("workers = 'many'\n")
    server.send(signal.SIGHUP)
    server.wait_log("many")
    assert fetch(server.address).body == b"hello\n"
    assert server.workers() == before
    config.write_text("workers = 1\n")
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)


def test_a_stop_during_a_reload_is_not_delayed(changing, tmp_path: Path) -> None:
    server = changing("--graceful-timeout", "2")
    write_app(tmp_path, "new", "import time; time.sleep(20)")
    server.send(signal.SIGHUP)
    server.wait_log("Hang up: Master")
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 6


def test_a_first_boot_that_only_dies_ends_the_master(run, tmp_path: Path) -> None:
    (tmp_path / "dying.py").write_text("import os\nos._exit(9)\n")
    status, _, stderr = run("-w", "2", "dying:app", cwd=tmp_path)
    assert status == 3
    assert "exited with code 9." in stderr
    assert stderr.count("Booting worker") == 2
