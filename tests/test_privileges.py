"""What rwsgi alone promises of the workers' identity: refusals, and no way back."""

import shutil
import subprocess
from pathlib import Path

import pytest
from client import fetch
from privileges import NUMBER, USER, as_user, readable
from server import RWSGI, Kind, free_port

GREEDY = """
import os
def app(environ, start_response):
    kept = []
    for what in (os.setuid, os.setgid, lambda root: os.setgroups([root])):
        try:
            what(0)
            kept.append(what.__name__)
        except PermissionError:
            pass
    body = " ".join(kept).encode() or b"nothing"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture(scope="module")
def kind() -> Kind:
    return readable(RWSGI)


def test_no_right_comes_back(serve, public: Path) -> None:
    (public / "greedy.py").write_text(GREEDY)
    assert fetch(serve("-u", USER.pw_name, app="greedy:app", cwd=public).address).body == b"nothing"


def test_the_application_is_not_imported_as_root(serve, public: Path) -> None:
    (public / "importing.py").write_text(
        "import os\nUID = os.getuid()\nfrom who import app\nassert UID != 0\n"
    )
    server = serve("-u", USER.pw_name, app="importing:app", cwd=public)
    assert fetch(server.address).status == 200


def test_another_user_without_root_is_an_error_at_the_start(kind: Kind) -> None:
    done = as_user(*kind.program, "-b", f"127.0.0.1:{free_port()}", "-u", "root", "who:app")
    assert done.returncode == 1
    assert "Cannot run workers as uid 0" in done.stderr
    assert "Start rwsgi as root" in done.stderr


def test_ones_own_user_needs_no_root(kind: Kind) -> None:
    check = (*kind.program, "--check-config", "-u", USER.pw_name, "json:dumps")
    assert as_user(*check).returncode == 0


def test_a_worker_that_cannot_change_does_not_serve(kind: Kind, public: Path) -> None:
    """Root of a user namespace has every capability, and nobody else to become."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-r", "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    command = [
        unshare,
        "-r",
        *kind.program,
        "-b",
        f"127.0.0.1:{free_port()}",
        "-u",
        str(NUMBER),
        "who:app",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=public, timeout=20)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("Worker cannot start: cannot change to the groups of uid") == 1
    assert "Worker failed to boot." in done.stderr


def test_initgroups_is_what_happens_anyway(serve, public: Path) -> None:
    server = serve("--initgroups", "-u", USER.pw_name, app="who:app", cwd=public)
    server.wait_log("--initgroups has no effect: workers always have all groups")


def test_a_low_port_without_the_right_to_it(kind: Kind) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1:
        pytest.skip("every port is for everybody here")
    done = as_user(*kind.program, "-b", "127.0.0.1:1", "--check-config", "json:dumps")
    assert done.returncode == 0, "checking binds nothing"
    done = as_user(*kind.program, "-b", "127.0.0.1:1", "json:dumps")
    assert done.returncode == 1
    assert "Cannot listen on ('127.0.0.1', 1): low ports need root or CAP_NET_BIND_SERVICE" in done.stderr
