"""What a Python logger costs the server when it fails: a line, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from client import fetch

RAISING = """
from rwsgi.glogging import Logger

class Raising(Logger):
    def access(self, resp, req, environ, request_time):
        raise SystemExit("no log today")

    def warning(self, msg, *args, **kwargs):
        raise OSError("nor this")

logger_class = Raising
"""


def test_a_logger_that_raises_is_told_once_and_costs_no_request(serve, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text(RAISING)
    server = serve("-c", str(config))
    for _ in range(3):
        assert fetch(server.address).status == 200
    assert server.stop() == 0
    assert server.stderr.count("The logger raised in access()\n") == 1
    assert server.stderr.count("SystemExit: no log today") == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("'shop.log.Mine'", "No module named 'shop'"),
        ("'json.Nope'", "Nope"),
        ("object", "takes no arguments"),
        ("7", "must be a class"),
    ],
)
def test_a_class_that_is_no_logger(run, tmp_path: Path, value: str, reason: str) -> None:
    (tmp_path / "conf.py").write_text(f"logger_class = {value}\n")
    status, _, stderr = run("-c", str(tmp_path / "conf.py"), "hello:app")
    assert status == 1
    assert reason in stderr
    assert "conf.py:1: invalid value for logger_class: " in stderr
    assert len(stderr.splitlines()) <= 6


def test_rwsgis_own_names(serve, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import logging\n"
        "def app(environ, start):\n"
        "    logging.getLogger('rwsgi.error').warning('told to %s', 'rwsgi')\n"
        "    start('200 OK', [])\n"
        "    return [b'hello']\n"
    )
    server = serve(app="shop:app", cwd=tmp_path)
    fetch(server.address)
    server.wait_log("[WARNING] told to rwsgi\n")
