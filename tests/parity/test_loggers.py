"""Python's logging: `logger_class`, the three configurations of it, and loggers that applications find."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from client import fetch
from server import Kind, Running, eventually

CLASS = """
from {package}.glogging import Logger
import os

class Mine(Logger):
    error_fmt = "MINE %(levelname)s %(message)s"

    def setup(self, cfg):
        super().setup(cfg)
        self.info("set up with %s workers", cfg.workers)

    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["z"] = environ.get("HTTP_X_Z", "none")
        return atoms

    def access(self, resp, req, environ, request_time):
        self.error_log.warning("%s %s", req.path, resp.status)
        super().access(resp, req, environ, request_time)

logger_class = Mine
accesslog = "-"
access_log_format = '%(m)s %(U)s %(s)s %(z)s "%({{x-z}}i)s" %(b)s %({{content-type}}o)s %({{RAW_URI}}e)s'
"""
DICT = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"own": {"format": "OWN %(name)s %(levelname)s %(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "formatter": "own", "filename": "own.log"}},
    "root": {"level": "WARNING", "handlers": []},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["file"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["file"], "propagate": False},
    },
}
INI = """
[loggers]
keys=root, gunicorn.error, gunicorn.access
[handlers]
keys=file
[formatters]
keys=own
[logger_root]
level=WARNING
handlers=
[logger_gunicorn.error]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.error
[logger_gunicorn.access]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.access
[handler_file]
class=FileHandler
formatter=own
args=("own.log",)
[formatter_own]
format=OWN %(name)s %(levelname)s %(message)s
"""
APP = """
import logging

logger = logging.getLogger("shop")
logger.handlers = logging.getLogger("gunicorn.error").handlers
logger.setLevel(logging.getLogger("gunicorn.error").level)
logger.info("loaded by %s", __name__)

def app(environ, start_response):
    logger.warning("serving %s", environ["PATH_INFO"])
    logging.getLogger("gunicorn.error").error("through the server's own")
    logging.getLogger("gunicorn.access").info("a line of the application's")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\\n"]
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def own_log(server: Running, tmp_path: Path, *said: str) -> str:
    path = tmp_path / "own.log"
    return eventually(
        lambda: path.exists() and all(s in path.read_text() for s in said) and path.read_text(),
        f"{said} in\n{path.exists() and path.read_text()}\n{server.stderr}",
    )


def test_a_class_of_ones_own(serve, kind: Kind, write) -> None:
    config = write("conf.py", CLASS.format(package=kind.name))
    server = serve("-c", str(config), app="cases:app")
    fetch(server.address, "/hello/app?q=1", ("X-Z", 'a"b'))
    line = eventually(lambda: server.stdout, "a line")
    assert line == r'GET /hello/app 200 a\"b "a\"b" 6 text/plain /hello/app?q=1' + "\n"
    fetch(server.address, "/misuse/raises")
    server.wait_log("MINE ERROR Error handling request GET /misuse/raises\nTraceback")
    assert server.stop() == 0
    assert "MINE INFO set up with 1 workers\n" in server.stderr
    assert "MINE INFO Listening at: " in server.stderr
    assert "MINE WARNING /hello/app 200 OK\n" in server.stderr
    assert "MINE WARNING /misuse/raises 500 Internal Server Error\n" in server.stderr
    assert "[INFO]" not in server.stderr


def configuration(form: str, write) -> list[str]:
    match form:
        case "dict":
            return ["-c", str(write("conf.py", f"logconfig_dict = {DICT!r}\n"))]
        case "json":
            return ["--log-config-json", str(write("log.json", json.dumps(DICT)))]
        case _:
            return ["--log-config", str(write("log.ini", INI))]


@pytest.mark.parametrize("form", ["dict", "json", "ini"])
def test_configurations(serve, write, tmp_path: Path, form: str) -> None:
    write("hello.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'hello']\n")
    server = serve(*configuration(form, write), cwd=tmp_path)
    fetch(server.address, "/x")
    text = own_log(server, tmp_path, "OWN gunicorn.error INFO Listening at: ", '"GET /x HTTP/1.1" 200')
    assert "OWN gunicorn.access INFO 127.0.0.1 - - [" in text
    # A rotation: the file that is written to is the new one.
    (tmp_path / "own.log").rename(tmp_path / "old.log")
    server.send(signal.SIGUSR1)
    eventually((tmp_path / "own.log").exists, "the new file")
    eventually(lambda: fetch(server.address, "/y") and "/y" in (tmp_path / "own.log").read_text(), "a line")


def test_a_reload_applies_the_configuration(serve, write, tmp_path: Path) -> None:
    write("hello.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'hello']\n")
    path = write("log.json", json.dumps(DICT))
    server = serve("--log-config-json", str(path), cwd=tmp_path)
    (worker,) = server.wait_workers(1)
    path.write_text(json.dumps(DICT).replace("OWN", "NEW"))
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=[worker])
    fetch(server.address, "/after")
    own_log(server, tmp_path, "NEW gunicorn.access INFO 127.0.0.1", "GET /after")


def test_a_bad_configuration_stops_a_start(run, write) -> None:
    broken = write("log.ini", "[loggers]\nkeys=nobody\n")
    status, _, stderr = run("--log-config", str(broken), "hello:app")
    assert status == 1
    assert "Error: " in stderr
    status, _, stderr = run("--log-config", "/not/there.ini", "hello:app")
    assert status == 1
    assert "'/not/there.ini' not found" in stderr


@pytest.mark.better("A reload with a broken `logconfig_json` leaves the loggers as they were.")
def test_a_reload_with_a_bad_configuration_keeps_the_old(serve, write, tmp_path: Path) -> None:
    write("hello.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'hello']\n")
    path = write("log.json", json.dumps(DICT))
    server = serve("--log-config-json", str(path), cwd=tmp_path)
    server.wait_workers(1)
    path.write_text("{}}")
    server.send(signal.SIGHUP)
    own_log(server, tmp_path, "OWN gunicorn.error ERROR ")
    eventually(lambda: fetch(server.address, "/still").status == 200, "it serves")
    own_log(server, tmp_path, "GET /still")
    assert server.stderr == ""


def test_loggers_that_an_application_finds(serve, write, tmp_path: Path) -> None:
    write("shop.py", APP)
    server = serve("--access-logfile", "-", app="shop:app", cwd=tmp_path)
    fetch(server.address, "/shoes")
    server.wait_log("[INFO] loaded by shop\n")
    server.wait_log("[WARNING] serving /shoes\n")
    server.wait_log("[ERROR] through the server's own\n")
    eventually(lambda: "a line of the application's\n" in server.stdout, "the line")
    eventually(lambda: '"GET /shoes HTTP/1.1" 200' in server.stdout, "the request's line")


def test_a_handler_of_the_applications(serve, write, tmp_path: Path) -> None:
    write(
        "shop.py",
        "import logging\n"
        "for name in ('gunicorn.error', 'gunicorn.access'):\n"
        "    logging.getLogger(name).addHandler(logging.FileHandler('own.log'))\n"
        "def app(environ, start):\n"
        "    if environ['PATH_INFO'] == '/fail':\n"
        "        raise ValueError('too bad')\n"
        "    start('200 OK', [])\n"
        "    return [b'hello']\n",
    )
    server = serve("--access-logfile", "-", app="shop:app", cwd=tmp_path)
    fetch(server.address, "/fine")
    fetch(server.address, "/fail")
    own_log(server, tmp_path, '"GET /fine HTTP/1.1" 200', "Error handling request GET /fail", "too bad")
    assert '"GET /fine HTTP/1.1" 200' in server.stdout
    assert "ValueError: too bad" in server.wait_log("Error handling request GET /fail")
