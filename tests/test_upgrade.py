"""Upgrades that go wrong, upgrades that are hurried, and reloads of an application in the master."""

import json
import os
import signal
import sys
import venv
from pathlib import Path

import pytest
from client import fetch
from server import Running, children, eventually, is_gone

APP = """
import json, os, time
{first}
IMPORTED_BY = os.getpid()

def app(environ, start_response):
    body = json.dumps({{"say": "{say}", "master": os.getppid(), "imported by": IMPORTED_BY}}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def write(directory: Path, say: str, first: str = "") -> None:
    (directory / "upgraded.py").write_text(APP.format(say=say, first=first))


def serving(server: Running) -> dict:
    return json.loads(fetch(server.address).body)


@pytest.fixture
def old(serve, tmp_path: Path):
    """A server of an application that can be rewritten."""

    def old(*arguments: str, **named) -> Running:
        write(tmp_path, "old")
        server = serve("-p", "{home}/pid", *arguments, app="upgraded:app", cwd=tmp_path, **named)
        assert serving(server)["say"] == "old"
        return server

    return old


def promoted(server: Running, new: int) -> None:
    server.successor = new
    path = server.home / "pid"
    eventually(lambda: path.exists() and path.read_text() == f"{new}\n", f"pid file\n{server.stderr}")
    eventually(lambda: not (server.home / "pid.2").exists(), "pid.2 is gone")


def end(server: Running) -> None:
    server.send(signal.SIGTERM)
    eventually(lambda: is_gone(server.pid), "the master in charge has left")
    assert server.descendants() == []


@pytest.mark.parametrize("first", ["raise RuntimeError('broken')", "os._exit(7)", "def ("])
def test_new_code_that_does_not_load(old, unfailing, tmp_path: Path, first: str) -> None:
    server = old()
    before = server.wait_workers(1)
    write(tmp_path, "new", first)
    with unfailing(server):
        server.send(signal.SIGUSR2)
        server.wait_log("The new master (pid:")
        eventually(lambda: not (server.home / "pid.2").exists(), "pid.2 is gone")
    assert server.workers() == before
    assert (server.home / "pid").read_text() == f"{server.pid}\n"
    write(tmp_path, "new")
    new = server.upgrade(1)
    assert server.stop() == 0
    promoted(server, new)
    assert serving(server)["say"] == "new"
    end(server)


def test_a_new_master_that_is_killed(old, unfailing) -> None:
    server = old()
    new = server.upgrade(1)
    with unfailing(server):
        os.kill(new, signal.SIGKILL)
        server.wait_log(f"The new master (pid:{new}) was ended by signal 9")
    again = server.upgrade(1)
    assert again != new
    server.successor = again
    end_the_new_one(server)


def end_the_new_one(server: Running) -> None:
    server.send(signal.SIGTERM)
    eventually(lambda: is_gone(server.pid), "the new master has left")
    server.successor = None


def test_an_old_master_that_is_killed(old, unfailing) -> None:
    server = old()
    new = server.upgrade(1)
    eventually(lambda: serving(server)["master"] == new, "the new master serves")
    with unfailing(server):
        server.process.kill()
        server.wait_exit()
        promoted(server, new)
        eventually(lambda: serving(server)["master"] == new, "the orphans of the old master have left")
    end(server)


def test_the_old_master_may_leave_before_the_new_one_serves(old, unfailing, tmp_path: Path) -> None:
    server = old()
    write(tmp_path, "new", "time.sleep(1)")
    with unfailing(server):
        new = server.upgrade(1)
        assert server.stop() == 0
        promoted(server, new)
        assert serving(server)["say"] == "new"
    end(server)


@pytest.mark.parametrize(
    "words", [["--reuse-port"], ["--preload"], ["--reuse-port", "--preload"]], ids=" ".join
)
def test_with(old, unfailing, tmp_path: Path, words: list[str]) -> None:
    server = old(*words)
    write(tmp_path, "new")
    with unfailing(server):
        new = server.upgrade(1)
        eventually(lambda: serving(server)["say"] == "new", "the new master serves")
        assert server.stop() == 0
        promoted(server, new)
    assert serving(server)["say"] == "new"
    end(server)


def environment(directory: Path) -> Path:
    """A virtual environment with this one's packages."""
    venv.create(directory, symlinks=True)
    (site,) = directory.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    lines = [f"import site; site.addsitedir({path!r})\n" for path in ours]
    (site / "borrowed.pth").write_text("".join(lines))
    return directory


@pytest.fixture
def switched(serve, tmp_path: Path):
    """A server started from a virtual environment by way of a link, which it then points to another one."""
    first, second = environment(tmp_path / "first"), environment(tmp_path / "second")
    current = tmp_path / "current"
    current.symlink_to(first)
    script = tmp_path / "script"
    script.write_text(
        f"#!{current}/bin/python\n"
        "import sys\n"
        "from rwsgi.__main__ import run\n"
        "del sys.argv[1]\n"  # the program of the other environment
        "run()\n"
    )
    script.chmod(0o755)
    (tmp_path / "where.py").write_text(
        "import os, sys\n"
        "PREFIX = os.path.realpath(sys.prefix).encode()\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [PREFIX]\n"
    )

    def switched(*words: str) -> tuple[Running, bytes]:
        server = serve("-p", "{home}/pid", *words, app="where:app", cwd=tmp_path, under=(str(script),))
        assert fetch(server.address).body == str(first).encode()
        current.unlink()
        current.symlink_to(second)
        return server, str(second).encode()

    return switched


def test_an_upgrade_after_the_virtual_environment_was_replaced(switched, unfailing) -> None:
    server, new_prefix = switched()
    with unfailing(server):
        new = server.upgrade(1)
        assert server.stop() == 0
        promoted(server, new)
    assert fetch(server.address).body == new_prefix
    end(server)


def test_a_reload_after_the_virtual_environment_was_replaced(switched, unfailing) -> None:
    server, new_prefix = switched("--preload")
    with unfailing(server):
        server.send(signal.SIGHUP)
        eventually(lambda: fetch(server.address).body == new_prefix, "the new environment serves")
    end(server)


def test_winch_leaves_the_serving_to_the_new_master(old, unfailing) -> None:
    server = old("-w", "2")
    new = server.upgrade(2)
    with unfailing(server):
        server.send(signal.SIGWINCH)
        eventually(lambda: children(server.pid) == [new], "the old workers have left")
        assert {serving(server)["master"] for _ in range(10)} == {new}
        # Back: the old master's workers first.
        server.send(signal.SIGHUP)
        eventually(lambda: len(children(server.pid)) == 3, "the old master has workers again")
        eventually(lambda: serving(server)["master"] == server.process.pid, "they serve")
        server.successor = new
        end_the_new_one(server)
    assert serving(server)["master"] == server.pid


def test_a_service_is_not_left_without_workers(old) -> None:
    server = old("-w", "2")
    new = server.upgrade(2)
    server.send(signal.SIGWINCH)
    eventually(lambda: children(server.pid) == [new], "the old workers have left")
    os.kill(new, signal.SIGKILL)
    server.wait_workers(2, unlike=[new])
    # The new master's orphans may answer what they have.
    eventually(lambda: serving(server)["master"] == server.pid, "the old master's workers serve")


def test_upgrades_leave_no_descriptors_behind(old) -> None:
    server = old()

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    first = descriptors()
    for _ in range(2):
        new, before = server.upgrade(1), server.pid
        server.send(signal.SIGTERM)
        eventually(lambda before=before: is_gone(before), "the old master has left")
        promoted(server, new)
        assert serving(server)["master"] == new
    assert descriptors() == first
    end(server)


def test_a_reload_loads_the_new_code_of_a_preloaded_application(old, unfailing, tmp_path: Path) -> None:
    server = old("--preload", "-w", "2")
    assert serving(server)["imported by"] == server.pid
    before = server.wait_workers(2)
    write(tmp_path, "new", "time.sleep(1)")
    with unfailing(server) as latencies:
        server.send(signal.SIGHUP)
        server.wait_workers(2, unlike=before)
    assert max(latencies) < 0.8
    facts = serving(server)
    assert facts == {"say": "new", "master": server.pid, "imported by": server.pid}
    assert (server.home / "pid").read_text() == f"{server.pid}\n"
    assert server.stop() == 0


@pytest.mark.parametrize("first", ["raise RuntimeError('broken')", "os._exit(7)", "def ("])
def test_new_code_of_a_preloaded_application_that_is_broken(
    old, unfailing, tmp_path: Path, first: str
) -> None:
    server = old("--preload")
    before = server.wait_workers(1)
    write(tmp_path, "new", first)
    with unfailing(server):
        server.send(signal.SIGHUP)
        server.wait_log("Reload failed")
    assert server.workers() == before
    assert serving(server)["say"] == "old"
    write(tmp_path, "new")
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)
    assert serving(server)["say"] == "new"


def test_reloads_of_a_preloaded_application_leave_nothing_behind(old, tmp_path: Path) -> None:
    server = old("--preload")
    listing = f"/proc/{server.pid}/fd"

    def reload(number: int) -> None:
        before = server.workers()
        write(tmp_path, str(number))
        server.send(signal.SIGHUP)
        server.wait_workers(1, unlike=before)
        assert serving(server)["say"] == str(number)

    reload(0)
    first = len(os.listdir(listing))
    for number in range(1, 4):
        reload(number)
    assert len(os.listdir(listing)) == first
