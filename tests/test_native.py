"""The native binary (feature `embed`) does what the command does, with an interpreter of its own.

`RWSGI_NATIVE` names the binary `make native` built (`make test` sets it); without it these tests are skipped.
"""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from client import fetch
from server import HERE, RWSGI, Kind

NATIVE = os.environ.get("RWSGI_NATIVE")
pytestmark = pytest.mark.skipif(not NATIVE, reason="RWSGI_NATIVE names no binary")


@pytest.fixture(scope="session")
def kind() -> Kind:
    assert NATIVE
    return replace(RWSGI, program=(str(Path(NATIVE).resolve()),))


def test_serves(serve) -> None:
    server = serve("-w", "2", app="cases:app")
    assert fetch(server.address, "/hello/app").body == b"hello\n"
    assert fetch(server.address, "/iterables/generator").body == b"a generated body"
    before = server.wait_workers(2)
    server.send(signal.SIGHUP)
    server.wait_workers(2, unlike=before)
    assert server.stop() == 0


def test_sees_the_virtualenv(serve) -> None:
    server = serve(app="flask_app:app", cwd=HERE.parent / "examples")
    assert fetch(server.address).status == 200


def test_reads_a_config_file(serve, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("import json\nworkers = json.loads('2')\n")
    server = serve("-c", str(tmp_path / "conf.py"))
    server.wait_workers(2)


@pytest.mark.parametrize(("app", "status"), [("hello:nope", 4), ("not_a_module", 3)])
def test_exit_status(run, app: str, status: int) -> None:
    assert run("-b", "127.0.0.1:0", app)[0] == status


def test_version(run) -> None:
    status, stdout, _ = run("--version")
    assert (status, stdout.partition(" (version")[0]) == (0, "rwsgi")
