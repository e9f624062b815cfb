"""The class tornado with applications of tornado's own. With WSGI ones it is in test_worker_classes.py.

Read next: apps/tornado_app.py.
"""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import Connection, chunked, encode, fetch
from server import APPS, Running, eventually
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

TORNADO = ("-k", "tornado")
APP = "tornado_app:app"
REFUSED = "Invalid request from ip=127.0.0.1"


@pytest.fixture(scope="module")
def shared(module_serve) -> Running:
    return module_serve(*TORNADO, "--access-logfile", "-", "--keep-alive", "30", app=APP)


def chat(server: Running, **options):
    host, port = server.address
    return connect(f"ws://{host}:{port}/chat", **options)


def test_get(shared: Running) -> None:
    response = fetch(shared.address)
    assert (response.status, response.body) == (200, b"hello\n")


@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_upload(shared: Running, size: int) -> None:
    body = os.urandom(size)
    assert fetch(shared.address, "/echo", method="POST", body=body).body == body


def test_chunked_upload(shared: Running) -> None:
    pieces = [b"x" * 100_000, b"y", b"z" * 1_500_000]
    with Connection(shared.address) as connection:
        fields = [("Transfer-Encoding", "chunked")]
        connection.send(encode("POST", "/length", *fields) + chunked(*pieces))
        assert connection.response("POST").body == b"1600001"


def test_stream(shared: Running) -> None:
    response = fetch(shared.address, "/stream")
    assert (response.framing, response.body) == ("chunked", b"0\n1\n2\n")


def test_keep_alive_and_pipelining(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", "/") * 10)
        for _ in range(10):
            assert connection.response().body == b"hello\n"
        connection.send(encode("GET", "/stream"))
        assert connection.response().status == 200


def test_a_handler_that_raises(shared: Running) -> None:
    assert fetch(shared.address, "/raises").status == 500
    shared.wait_log("RuntimeError: on purpose")
    assert fetch(shared.address).status == 200


def test_handlers_wait_beside_each_other(shared: Running) -> None:
    with ThreadPoolExecutor(10) as clients:
        answers = list(clients.map(lambda _: fetch(shared.address, "/slow?0.5"), range(10)))
    assert [answer.body for answer in answers] == [b"slept"] * 10


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nBad Field: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: test\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: test\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: test\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    ],
    ids=["field name", "bare LF", "two lengths", "request line", "fields"],
)
def test_a_head_that_the_policy_forbids(shared: Running, head: bytes, status: int) -> None:
    told = shared.stderr.count(REFUSED)
    with Connection(shared.address) as connection:
        connection.send(head)
        assert connection.response().status == status
        assert connection.at_end()
    shared.wait_log(REFUSED, told + 1)
    assert fetch(shared.address).status == 200


def test_access_log(shared: Running) -> None:
    fetch(shared.address, "/stream?logged")
    eventually(lambda: '"GET /stream?logged HTTP/1.1" 200 6' in shared.stdout, "a line in the access log")


def test_a_websocket(shared: Running) -> None:
    with chat(shared, subprotocols=["other", "chat"]) as one, chat(shared) as two:
        assert (one.subprotocol, two.subprotocol) == ("chat", None)
        for message in ("all", b"\0\1"):
            one.send(message)
            assert [one.recv(5), two.recv(5)] == [message, message]
        assert fetch(shared.address).status == 200
    eventually(lambda: '"GET /chat HTTP/1.1" 101 0' in shared.stdout, "a line in the access log")


def test_a_proxy_speaks_for_its_client(serve) -> None:
    server = serve(*TORNADO, "--trust-forwarded-header", app=APP)
    fields = [("Forwarded", "for=192.0.2.7;proto=https")]
    assert json.loads(fetch(server.address, "/who", *fields).body) == {
        "scheme": "https",
        "client": "192.0.2.7",
    }
    # On the same connection it says nothing of the next request.
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/who", *fields) + encode("GET", "/who"))
        connection.response()
        assert json.loads(connection.response().body) == {"scheme": "http", "client": "127.0.0.1"}


def test_a_unix_socket(serve) -> None:
    server = serve(*TORNADO, app=APP, bind="unix")
    assert json.loads(fetch(server.address, "/who").body)["scheme"] == "http"


def test_hooks(serve, tmp_path) -> None:
    record = tmp_path / "record"
    server = serve(*TORNADO, "-c", "recording_hooks.py", app=APP, env={"RECORD": str(record)})
    assert fetch(server.address).status == 200
    assert server.stop() == 0
    hooks = [json.loads(line)["hook"] for line in record.read_text().splitlines()]
    wanted = ["post_fork", "post_worker_init", "pre_request", "post_request", "worker_exit"]
    assert [hook for hook in hooks if hook in wanted] == wanted


def test_the_worker_finishes_what_has_begun(serve) -> None:
    server = serve(*TORNADO, app=APP)
    with Connection(server.address) as connection, Connection(server.address) as idle:
        idle.send(encode("GET", "/"))
        assert idle.response().status == 200
        connection.send(encode("GET", "/slow?1"))
        server.wait_log("started")
        server.send(signal.SIGTERM)
        assert connection.response().status == 200
        assert idle.at_end()
    assert server.wait_exit() == 0
    assert "[ERROR]" not in server.stderr


def test_a_stop_tells_websockets(serve) -> None:
    server = serve(*TORNADO, app=APP)
    with chat(server) as one:
        one.send("who")
        assert one.recv(5) == "1"
        server.send(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(10)
    assert closed.value.rcvd.code == 1012
    assert server.wait_exit() == 0
    server.wait_log("left 1012")


def test_what_does_not_end_in_time_is_cut(serve) -> None:
    server = serve(*TORNADO, "--graceful-timeout", "1", app=APP)
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/slow?60"))
        server.wait_log("started")
        server.send(signal.SIGTERM)
        assert connection.rest() == b""
    assert server.wait_exit() == 0
    server.wait_log("Forcing close of 1 connections")


def test_max_requests(serve) -> None:
    server = serve(*TORNADO, "--max-requests", "5", app=APP)
    before = server.wait_workers(1)
    for _ in range(8):
        assert fetch(server.address).status == 200
    server.wait_workers(1, unlike=before)
    assert "Autorestarting worker after current request." in server.stderr


def test_hup_loses_nothing(serve, unfailing) -> None:
    server = serve(*TORNADO, "-w", "2", app=APP)
    before = server.wait_workers(2)
    with unfailing(server):
        server.send(signal.SIGHUP)
        server.wait_workers(2, unlike=before)
    assert "[ERROR]" not in server.stderr


def test_time_limits_of_clients(serve) -> None:
    limits = ("--keep-alive", "1", "--request-head-timeout", "1")
    server = serve(*TORNADO, *limits, app=APP)
    with Connection(server.address) as idle, Connection(server.address) as slow:
        idle.send(encode("GET", "/"))
        assert idle.response().status == 200
        slow.send(b"GET / HTTP/1.1\r\n")
        assert idle.at_end()
        assert slow.response().status == 408
        assert slow.at_end()
    server.wait_log("too slow: the request's head did not come in time")


def test_a_client_that_does_not_read_is_cut(serve) -> None:
    server = serve(*TORNADO, "--send-timeout", "1", app=APP)
    with Connection(server.address) as slow:
        slow.send(encode("GET", "/pours"))
        assert slow.head().status == 200
        assert fetch(server.address).status == 200
        server.wait_log("it does not read the response", timeout=15)


def test_request_timeout(serve) -> None:
    server = serve(*TORNADO, "--request-timeout", "1", app=APP)
    with chat(server) as one:
        assert fetch(server.address, "/slow?60").status == 504
        server.wait_log("(request_timeout): GET /slow?60")
        # A websocket is no request that takes long.
        one.send("who")
        assert one.recv(5) == "1"


def test_a_loop_that_stands_still_is_killed(serve) -> None:
    server = serve(*TORNADO, "--timeout", "1", app=APP)
    before = server.wait_workers(1)
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/blocks"))
        server.wait_log("WORKER TIMEOUT", timeout=15)
        server.wait_log("GET /blocks")
        server.wait_workers(1, unlike=before)


def test_reload(serve, tmp_path) -> None:
    source = tmp_path / "edited.py"
    text = "from tornado_app import Application, Hello\napp = Application([('/{}', Hello)])\n"
    source.write_text(text.format("old"))
    server = serve(*TORNADO, "--reload", "--pythonpath", str(APPS), app="edited:app", cwd=tmp_path)
    assert fetch(server.address, "/old").status == 200
    # What cannot be loaded is told to clients meanwhile.
    source.write_text(text.format("newer") + "raise RuntimeError('half done')")
    eventually(lambda: fetch(server.address, "/old").status == 500, "the mistake is told")
    assert b"half done" in fetch(server.address).body
    source.write_text(text.format("newest"))
    eventually(lambda: fetch(server.address, "/newest").status == 200, "the new code answers")


def test_idle_connections_make_room(serve) -> None:
    server = serve(*TORNADO, "--worker-connections", "3", "--keep-alive", "60", app=APP)
    idle = [Connection(server.address) for _ in range(3)]
    for connection in idle:
        connection.send(encode("GET", "/"))
        assert connection.response().status == 200
    assert fetch(server.address).status == 200
    for connection in idle:
        connection.socket.close()


def test_a_loop_of_its_own_after_the_fork(serve) -> None:
    server = serve(*TORNADO, "--preload", "-w", "2", app=APP)
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: fetch(server.address, "/slow?0.3"), range(8)))
    assert [answer.status for answer in answers] == [200] * 8


@pytest.mark.parametrize("name", ["sync", "gthread", "asgi"])
def test_other_classes_refuse_a_tornado_application(run, name: str) -> None:
    status, _, stderr = run("-k", name, "-b", "127.0.0.1:0", APP)
    assert status == 4
    assert f"{APP} is a tornado application; the worker class {name} cannot serve it." in stderr
    assert "-k tornado" in stderr


def test_what_cannot_be_done_is_refused(run) -> None:
    status, _, stderr = run(*TORNADO, "--proxy-protocol", "-b", "127.0.0.1:0", APP)
    assert status == 3
    assert "proxy_protocol is not supported for tornado's own applications" in stderr
