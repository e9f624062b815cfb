"""`rwsgi.run`, and what a program that embeds the server can rely on beyond gunicorn."""

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import server as servers
from client import fetch
from server import RWSGI, Running

PREAMBLE = """
import os, rwsgi, signal, sys, threading
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\\n"]
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], Running]]:
    """Starts a program of this text; `{port}` stands for a free port."""
    started: list[Running] = []

    def program(code: str) -> Running:
        port, home = servers.free_port(), servers.scratch(tmp_path)
        kind = replace(RWSGI, program=(sys.executable, "-c", PREAMBLE + code.replace("{port}", str(port))))
        started.append(Running(kind, servers.launch(kind, [], home), ("127.0.0.1", port), home))
        return started[-1]

    yield program
    for running in started:
        running.clean_up()


def test_run_returns_when_the_server_was_stopped(program) -> None:
    server = program("""
# A job in the background of a shell may have been started with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, lambda *_: print("own handler", flush=True))
rwsgi.run(app, bind="127.0.0.1:{port}", workers=2)
print("returned", os.getpid(), flush=True)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
os.kill(os.getpid(), signal.SIGTERM)
rwsgi.run(app)
""")
    servers.eventually(server.listening, "the server listens")
    assert fetch(server.address).body == b"ok\n"
    server.wait_workers(2)
    assert server.stop() == 1
    assert server.stdout == f"returned {server.pid}\nown handler\n"
    assert "Error: The server has run in this process; it can be run once." in server.stderr


def test_run_takes_a_name(program) -> None:
    server = program("rwsgi.run('hello:app', bind='127.0.0.1:{port}', reload=True)")
    servers.eventually(server.listening, "the server listens")
    assert fetch(server.address).body == b"hello\n"
    server.wait_workers(1)
    assert servers.title_of(server.pid) == "rwsgi: master [hello:app]"
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("rwsgi.run(app, wrokers=2)", 1, "No configuration setting for: wrokers (did you mean 'workers'?)"),
        (
            "rwsgi.run(app, workers='many')",
            1,
            "application: invalid value for workers: 'many': must be a whole",
        ),
        ("rwsgi.run(app, worker_class='gtread')", 1, "'gtread': must be sync, gthread, gevent"),
        ("rwsgi.run(3)", 1, "rwsgi.run() needs a WSGI application or its name ('module:app'), not int"),
        ("rwsgi.run(app, reload=True)", 1, "rwsgi.run(reload=True) needs the application's name"),
        (
            "rwsgi.run('absent:app', bind='127.0.0.1:{port}')",
            3,
            "Cannot load absent:app: ModuleNotFoundError",
        ),
        (
            "rwsgi.run('hello:nope', bind='127.0.0.1:{port}')",
            4,
            "Failed to find attribute 'nope' in 'hello'.",
        ),
    ],
)
def test_what_run_refuses(program, code: str, status: int, said: str) -> None:
    server = program(code)
    assert server.wait_exit() == status
    assert said in server.stderr
    assert "Traceback" not in server.stderr


def test_only_the_main_thread_can_run_it(program) -> None:
    server = program("t = threading.Thread(target=rwsgi.run, args=[app]); t.start(); t.join()")
    assert server.wait_exit() == 0
    assert server.stderr == "Error: The server must be run in the program's main thread.\n"


def test_an_application_that_is_none(embed_to_the_end) -> None:
    status, _, stderr = embed_to_the_end("without_callable")
    assert status == 4
    assert "Cannot load WithoutCallable: load() must return a callable, not NoneType." in stderr


def test_values_of_the_program_have_an_origin(embed_to_the_end) -> None:
    status, stdout, stderr = embed_to_the_end("arguments", "--print-config", "--timeout", "14")
    assert status == 0, stderr
    (workers,) = [line for line in stdout.splitlines() if line.startswith("workers ")]
    assert workers.endswith("# application")


def test_exit_handlers_and_threads_of_a_worker(program) -> None:
    """A worker ends as an interpreter does, though it never comes back to the program."""
    server = program("""
import atexit, time
def load(environ, start_response):
    atexit.register(lambda: os.write(1, b"exit handler\\n"))
    threading.Thread(target=lambda: (time.sleep(0.2), os.write(1, b"thread\\n"))).start()
    sys.stdout.write("buffered\\n")
    return app(environ, start_response)
rwsgi.run(load, bind="127.0.0.1:{port}")
""")
    servers.eventually(server.listening, "the server listens")
    assert fetch(server.address).status == 200
    assert server.stop() == 0
    assert server.stdout == "thread\nexit handler\nbuffered\n"
