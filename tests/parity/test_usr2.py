"""USR2: a second master on the same sockets, either of which can be the one that stays."""

import json
import signal
from pathlib import Path

import pytest
from client import fetch
from server import Running, children, eventually, is_gone, title_of


def serving(server: Running) -> dict:
    return json.loads(fetch(server.address).body)


def wait_served_by(server: Running, master: int) -> dict:
    """An answer from a worker of this master."""

    def found() -> dict | None:
        facts = serving(server)
        return facts if facts["master"] == master else None

    return eventually(found, f"an answer from {master}\n{server.stderr}")


@pytest.fixture
def pair(serve):
    """A server, and the master that USR2 made beside it."""

    def pair(*arguments: str, **named) -> tuple[Running, int]:
        server = serve("-p", "{home}/pid", *arguments, **{"app": "process:app"} | named)
        server.wait_workers(1)
        fetch(server.address)
        return server, server.upgrade(1)

    return pair


def leave_to(server: Running, new: int) -> None:
    """Stops the old master and waits for the new one to take its name."""
    assert server.stop() == 0
    server.successor = new
    pid = server.home / "pid"
    eventually(
        lambda: pid.exists() and pid.read_text() == f"{new}\n",
        f"the pid file is the new master's\n{server.stderr}",
    )
    eventually(lambda: not (server.home / "pid.2").exists(), "pid.2 is gone")


def end(server: Running) -> None:
    server.send(signal.SIGTERM)
    eventually(lambda: is_gone(server.pid), "the new master has left")


def test_the_new_master_takes_over(pair) -> None:
    server, new = pair()
    old = server.pid
    assert (server.home / "pid").read_text() == f"{old}\n"
    wait_served_by(server, old)
    wait_served_by(server, new)
    title, name = server.kind.title, "process:app"
    assert title_of(old) == title("master", name)
    eventually(lambda: title_of(new) == title("master", f"{name}.2"), f"title of the new: {title_of(new)}")
    leave_to(server, new)
    eventually(lambda: title_of(new) == title("master", name), f"title of the new: {title_of(new)}")
    assert serving(server)["master"] == new
    log = server.wait_log("Master has been promoted.")
    assert "[INFO] Handling signal: usr2" in log
    end(server)
    assert not (server.home / "pid").exists()
    assert server.descendants() == []


def test_the_new_master_is_told_of_the_old_one(pair) -> None:
    server, new = pair()
    environment = wait_served_by(server, new)["environment"]
    assert environment["GUNICORN_PID"] == str(server.pid)
    assert "GUNICORN_FD" not in environment
    assert "GUNICORN_PID" not in wait_served_by(server, server.pid)["environment"]
    server.successor = new


def test_back_to_the_old_master(pair) -> None:
    server, new = pair()
    server.successor = new
    end(server)
    server.successor = None
    server.wait_log("Shutting down: Master.2")
    eventually(lambda: not (server.home / "pid.2").exists(), "pid.2 is gone")
    assert (server.home / "pid").read_text() == f"{server.pid}\n"
    assert serving(server)["master"] == server.pid
    # It can be tried again.
    again = server.upgrade(1)
    assert again != new
    leave_to(server, again)
    end(server)


def test_only_one_upgrade_at_a_time(pair) -> None:
    server, new = pair()
    old = server.pid
    server.send(signal.SIGUSR2)
    server.wait_log("[WARNING] USR2 signal ignored. Child exists.")
    server.successor = new
    server.send(signal.SIGUSR2)
    server.wait_log("[WARNING] USR2 signal ignored. Parent exists.")
    assert len(children(new)) == 1
    assert len(children(old)) == 2
    end(server)
    server.successor = None


def test_the_promoted_master_reloads_and_upgrades(pair) -> None:
    server, new = pair()
    leave_to(server, new)
    before = server.wait_workers(1)
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=before)
    assert serving(server)["master"] == new
    third = server.upgrade(1)
    server.send(signal.SIGTERM)
    eventually(lambda: is_gone(new), "the second master has left")
    server.successor = third
    eventually(lambda: (server.home / "pid").exists(), "the pid file is there")
    eventually(
        lambda: (server.home / "pid").read_text() == f"{third}\n", "the pid file is the third master's"
    )
    assert wait_served_by(server, third)
    end(server)


def test_a_unix_socket_stays_until_the_last_master_leaves(pair) -> None:
    server, new = pair(bind="unix")
    path = Path(server.address)
    leave_to(server, new)
    assert path.is_socket()
    assert serving(server)["master"] == new
    end(server)
    assert not path.exists()


def test_new_code_and_new_settings(serve, tmp_path: Path) -> None:
    conf, app = tmp_path / "conf.py", tmp_path / "versions.py"
    source = "def app(environ, start):\n    start('200 OK', [('Content-Length', '5')])\n    return [b'{}']\n"
    conf.write_text("workers = 1\n")
    app.write_text(source.format("old 1"))
    arguments = (
        "-p",
        "{home}/pid",
        "-c",
        str(conf),
        "--pythonpath",
        str(Path(__file__).parent.parent / "apps"),
    )
    server = serve(*arguments, app="versions:app", cwd=tmp_path)
    assert fetch(server.address).body == b"old 1"
    conf.write_text("workers = 2\n")
    app.write_text(source.format("newer"))
    new = server.upgrade(2)
    eventually(lambda: fetch(server.address).body == b"newer", "the new code serves")
    leave_to(server, new)
    assert fetch(server.address).body == b"newer"
    end(server)


def test_an_upgrade_loses_nothing(serve, unfailing) -> None:
    server = serve("-w", "2", "-p", "{home}/pid")
    server.wait_workers(2)
    fetch(server.address)
    with unfailing(server, clients=3):
        new = server.upgrade(2)
        server.wait_log("Booting worker with pid", 4)
        leave_to(server, new)
    end(server)
