"""The user and group of workers, and of the files made for them."""

import grp
import json
import os
import signal
from pathlib import Path

import pytest
from client import fetch
from privileges import NUMBER, USER, readable
from server import Kind, eventually

GROUP = grp.getgrgid(USER.pw_gid).gr_name


@pytest.fixture(scope="module")
def kind(kind: Kind) -> Kind:
    return readable(kind)


def who(server) -> dict:
    return json.loads(fetch(server.address).body)


@pytest.mark.parametrize(
    ("user", "group", "uid", "gid"),
    [
        (USER.pw_name, GROUP, USER.pw_uid, USER.pw_gid),
        (str(USER.pw_uid), str(USER.pw_gid), USER.pw_uid, USER.pw_gid),
        (str(NUMBER), str(NUMBER), NUMBER, NUMBER),
    ],
)
def test_workers_run_as_another(serve, public: Path, user: str, group: str, uid: int, gid: int) -> None:
    server = serve("-u", user, "-g", group, app="who:app", cwd=public)
    told = who(server)
    assert told["uids"] == [uid] * 3
    assert told["gids"] == [gid] * 3
    assert os.stat(f"/proc/{server.pid}").st_uid == 0, "the master stays what it is"


def test_a_group_alone(serve, public: Path) -> None:
    told = who(serve("-g", GROUP, app="who:app", cwd=public))
    assert (told["uids"][0], told["gids"][0]) == (0, USER.pw_gid)


@pytest.mark.better(
    "`user` without `group` brings that user's own group; under gunicorn workers keep root's."
)
def test_a_user_alone(serve, public: Path) -> None:
    assert who(serve("-u", USER.pw_name, app="who:app", cwd=public))["gids"] == [USER.pw_gid] * 3


@pytest.mark.better("Workers of another user lose root's supplementary groups.")
def test_the_groups_are_the_users(serve, public: Path) -> None:
    told = who(serve("-u", USER.pw_name, "-g", GROUP, app="who:app", cwd=public))
    assert told["groups"] == sorted(os.getgrouplist(USER.pw_name, USER.pw_gid))


def test_the_unix_socket_is_theirs(serve, public: Path) -> None:
    server = serve("-u", USER.pw_name, "-g", GROUP, app="who:app", bind="unix", cwd=public)
    found = os.stat(server.address)
    assert (found.st_uid, found.st_gid) == (USER.pw_uid, USER.pw_gid)
    assert who(server)["uids"][0] == USER.pw_uid


@pytest.mark.better("A log file made anew after a rotation is given to `user`, as the first one was.")
def test_the_logs_are_theirs_after_a_rotation_too(serve, public: Path) -> None:
    access, error = public / "access.log", public / "error.log"
    logs = "--access-logfile", str(access), "--error-logfile", str(error)
    server = serve("-u", USER.pw_name, "-g", GROUP, *logs, app="who:app", cwd=public)
    who(server)
    for log in (access, error):
        eventually(lambda log=log: log.stat().st_size, f"a line in {log}")
        assert (log.stat().st_uid, log.stat().st_gid) == (USER.pw_uid, USER.pw_gid)
    access.rename(public / "access.1")
    server.send(signal.SIGUSR1)
    eventually(access.exists, "the log is made again")
    who(server)
    eventually(lambda: access.stat().st_uid == USER.pw_uid, "it is the user's")
    before = access.stat().st_size
    who(server)
    eventually(lambda: access.stat().st_size > before, "the worker writes to it")


@pytest.mark.parametrize(("flag", "what"), [("--user", "user"), ("--group", "group")])
def test_names_that_nobody_has(run, flag: str, what: str) -> None:
    status, _, stderr = run(flag, "not_there", "hello:app")
    assert status == 1
    assert f"No such {what}: 'not_there'" in stderr
