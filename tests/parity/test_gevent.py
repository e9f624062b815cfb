"""The class `gevent` beside gunicorn's: what is patched when, how many requests run, who keeps a connection.

Read next: ../test_worker_classes.py, what all classes promise.
"""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from client import Connection, encode, fetch
from server import Running

FLAGS = ("-k", "gevent", "--keep-alive", "60", "--graceful-timeout", "2")
CONFIG = """
import gevent.monkey

def tell(where):
    print(where, gevent.monkey.is_module_patched("socket"), flush=True)

def post_fork(server, worker):
    tell("post_fork")

def post_worker_init(worker):
    tell("post_worker_init")
"""


@pytest.fixture(scope="module")
def green(module_serve) -> Running:
    return module_serve(*FLAGS, app="cases:app")


@pytest.mark.parametrize(
    "name", ["gevent", "gunicorn.workers.ggevent.GeventWorker", "gevent_wsgi", "gevent_pywsgi"]
)
def test_its_names(serve, name: str) -> None:
    server = serve("-k", name, app="cases:app")
    assert fetch(server.address, "/green/at_import").body == b"gevent"


def test_it_says_which_class_it_uses(serve) -> None:
    serve(*FLAGS).wait_log("Using worker: gevent")


def test_the_environ(green: Running) -> None:
    assert fetch(green.address, "/threads/flags").body.startswith(b"True")


def test_requests_run_at_the_same_time(green: Running) -> None:
    with ThreadPoolExecutor(20) as clients:
        began = time.monotonic()
        answers = list(clients.map(lambda _: fetch(green.address, "/slow/app?1"), range(20)))
        assert time.monotonic() - began < 5
    assert [answer.body for answer in answers] == [b"hello\n"] * 20


def test_many_requests_on_one_connection(green: Running) -> None:
    with Connection(green.address) as connection:
        for number in range(50):
            connection.send(encode("POST", f"/threads/echo/{number}", body=b"x" * number))
            assert connection.response("POST").body == f"/threads/echo/{number} ".encode() + b"x" * number


def test_pipelined_requests_are_answered_in_order(green: Running) -> None:
    with Connection(green.address) as connection:
        connection.send(b"".join(encode("GET", f"/threads/echo/{number}") for number in range(20)))
        for number in range(20):
            assert connection.response().body == f"/threads/echo/{number} ".encode()


def test_python_is_patched_after_post_fork_and_before_the_import(serve, tmp_path: Path) -> None:
    (tmp_path / "told.conf.py").write_text(CONFIG)
    server = serve(*FLAGS, "-c", str(tmp_path / "told.conf.py"), app="cases:app")
    assert fetch(server.address, "/green/at_import").body == b"gevent"
    assert server.stdout.splitlines() == ["post_fork False", "post_worker_init True"]


WAITING = """
import ctypes

def wait(seconds):
    "Holds up the whole process."
    ctypes.CDLL(None).usleep(int(seconds * 1e6))

def post_fork(server, worker):
    import gevent
    # What waits by itself is told to let others run.
    globals()["wait"] = gevent.sleep

def post_worker_init(worker):
    import green
    green.WAIT = wait
"""


def test_a_hook_teaches_a_library_to_let_others_run(serve, tmp_path: Path) -> None:
    (tmp_path / "waiting.conf.py").write_text(WAITING)
    server = serve(*FLAGS, "-c", str(tmp_path / "waiting.conf.py"), app="cases:app")
    with ThreadPoolExecutor(10) as clients:
        began = time.monotonic()
        answers = list(clients.map(lambda _: fetch(server.address, "/green/waits"), range(10)))
        assert time.monotonic() - began < 5
    assert {answer.status for answer in answers} == {200}


@pytest.mark.better("A preloaded application is patched before its import; gunicorn patches in each worker.")
def test_a_preloaded_application_finds_python_patched(serve) -> None:
    server = serve(*FLAGS, "--preload", app="green:at_import")
    assert fetch(server.address).body == b"gevent"


def test_blocking_calls_inside_the_application_let_others_run(green: Running) -> None:
    host, port = green.address
    assert fetch(green.address, f"/green/calls?{host}:{port}").body == b"hello\n"


def test_a_request_under_way_is_finished_at_a_stop(serve) -> None:
    server = serve(*FLAGS, app="slow:app")
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/?1"))
        server.wait_log("started")
        server.send(signal.SIGTERM)
        assert connection.response().status == 200
    assert server.wait_exit() == 0


@pytest.mark.better("An application that exits is answered 500; gunicorn with gevent says nothing.")
def test_an_application_that_exits_is_answered(green: Running) -> None:
    with Connection(green.address, timeout=3) as connection:
        connection.send(encode("GET", "/misuse/exits"))
        assert connection.response().status == 500


@pytest.mark.better("A slow first head has its own limit; gunicorn with gevent lets `keepalive` end it.")
def test_a_slow_head_is_waited_for(serve) -> None:
    server = serve("-k", "gevent", "--keep-alive", "1")
    with Connection(server.address) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: te")
        # Longer than keepalive: that this time passes is what is tested, and nothing shows when it has.
        time.sleep(1.5)
        connection.send(b"st\r\n\r\n")
        assert connection.response().status == 200


@pytest.mark.better("A stop does not wait for idle connections; gunicorn with gevent does.")
def test_idle_connections_are_no_reason_to_stay(serve) -> None:
    server = serve(*FLAGS, "--graceful-timeout", "6")
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/"))
        assert connection.response().status == 200
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
