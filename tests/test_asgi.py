"""What the asgi worker class promises beyond gunicorn's: messages, limits, loops, and who gets it."""

import json
import signal
import socket
import struct
import sys
import time
from pathlib import Path

import pytest
from client import Connection, encode, exchange, fetch
from server import Running, eventually

ASGI = ("-k", "asgi")


@pytest.fixture
def asgi(serve):
    return lambda *arguments, **options: serve(*ASGI, *arguments, app="asgi_cases:app", **options)


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def shared(module_serve, request: pytest.FixtureRequest) -> Running:
    return module_serve(*ASGI, "--asgi-loop", request.param, app="asgi_cases:app")


def journal(server: Running) -> list[str]:
    return json.loads(fetch(server.address, "/journal").body)


def test_messages_out_of_order_raise(shared: Running) -> None:
    journal(shared)
    raised = json.loads(fetch(shared.address, "/wrong").body)
    assert raised == [
        *("RuntimeError", "KeyError", "TypeError", "TypeError", "ValueError"),
        *("RuntimeError", "TypeError", "KeyError", "TypeError"),
    ]
    late, then = journal(shared)
    assert "already complete" in late and then == "http.disconnect"


def test_receive_may_be_a_task(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(b"POST /from_another_thread HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\na")
        fetch(shared.address)
        client.send(b"b")
        assert "".join(json.loads(client.response().body)) == "ab"


def test_what_is_left_of_a_body_is_thrown_away(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(b"POST /unread HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n")
        assert client.response().body == b"not read"
        client.send(b"x" * 100_000 + encode("GET", "/hello"))
        assert client.response().body == b"hello\n"


def test_early_hints(shared: Running) -> None:
    response = fetch(shared.address, "/hinted")
    (hint,) = response.interim
    assert (hint.status, hint.value("Link"), response.status) == (103, "</style.css>; rel=preload", 200)


def test_trailers_are_not_sent(shared: Running) -> None:
    assert fetch(shared.address, "/with_trailers").body == b"hello\n"


def test_an_exit_of_the_application_ends_its_request(shared: Running) -> None:
    assert fetch(shared.address, "/leaves").status == 500
    assert fetch(shared.address).status == 200


def test_a_client_that_has_sent_everything_gets_its_answer(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(encode("POST", "/echo", body=b"all"))
        client.socket.shutdown(1)
        assert client.response().body == b"all"


def test_a_body_that_breaks_the_framing_is_refused(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz\r\n"
        )
        assert client.response().status == 400


@pytest.mark.parametrize("path", ["/echo", "/sleeps"])
def test_a_body_that_does_not_come_is_not_waited_for(asgi, path: str) -> None:
    server = asgi("--request-body-timeout", "1")
    with Connection(server.address) as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc" % path.encode())
        assert client.response().status == 408


def test_a_head_that_does_not_come_is_not_waited_for(asgi) -> None:
    server = asgi("--request-head-timeout", "1")
    with Connection(server.address) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.response().status == 408


def test_an_idle_connection_is_closed(asgi) -> None:
    server = asgi("--keep-alive", "1")
    with Connection(server.address) as client:
        client.send(encode("GET", "/hello"))
        assert client.response().status == 200
        assert client.rest() == b""


def test_who_is_idle_makes_room(asgi) -> None:
    server = asgi("--worker-connections", "2", "--keep-alive", "60")
    with Connection(server.address) as one, Connection(server.address) as two:
        for client in (one, two):
            client.send(encode("GET", "/hello"))
            assert client.response().status == 200
        assert fetch(server.address).status == 200
        assert one.rest() == b""


def test_who_does_not_read_is_cut_off(asgi) -> None:
    server = asgi("--send-timeout", "1", "--response-buffer", "64K")
    with Connection(server.address) as client:
        client.send(encode("GET", "/large?100000000"))
        server.wait_log("too slow")
        assert fetch(server.address).status == 200


def test_an_upload_waits_for_the_application(asgi) -> None:
    server = asgi("--request-buffer", "64K", "--graceful-timeout", "1")
    with Connection(server.address, timeout=1) as client:
        client.send(b"POST /waits HTTP/1.1\r\nHost: test\r\nContent-Length: 50000000\r\n\r\n")
        eventually(lambda: "waiting" in journal(server), "the request waits")
        with pytest.raises(TimeoutError):
            client.send(b"x" * 50_000_000)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_who_leaves_while_its_upload_waits_is_noticed(asgi, how: str, loop: str) -> None:
    server = asgi("--request-buffer", "64K", "--asgi-disconnect-grace-period", "0", "--asgi-loop", loop)
    with Connection(server.address) as client:
        client.send(b"POST /sleeps HTTP/1.1\r\nHost: test\r\nContent-Length: 50000000\r\n\r\n")
        client.send(b"x" * 400_000)
        eventually(lambda: "asleep" in journal(server), "the application has it")
        if how == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: "cancelled" in journal(server), "it is cancelled")


def test_an_application_that_reads_late_is_told_that_its_client_left(asgi) -> None:
    server = asgi("--request-buffer", "64K", "--asgi-disconnect-grace-period", "30")
    with Connection(server.address) as client:
        client.send(b"POST /reads_late HTTP/1.1\r\nHost: test\r\nContent-Length: 50000000\r\n\r\n")
        client.send(b"x" * 400_000)
        eventually(lambda: "waiting" in journal(server), "the application has it")
    fetch(server.address, "/release")
    eventually(lambda: "http.disconnect" in journal(server), "it is told")


def test_a_request_that_takes_too_long_is_cancelled(asgi) -> None:
    server = asgi("--request-timeout", "1")
    assert fetch(server.address, "/sleeps").status == 504
    assert "(request_timeout): GET /sleeps" in server.stderr
    eventually(lambda: "cancelled" in journal(server), "it is cancelled")


def test_a_stop_waits_for_what_goes_on_after_a_response(asgi) -> None:
    server = asgi("--graceful-timeout", "8")
    assert fetch(server.address, "/in_the_background").body == b"answered"
    with Connection(server.address) as client:
        client.send(b"GET /release HTTP/1.1\r\n")
        fetch(server.address)
        server.send(signal.SIGTERM)
        server.wait_log("Handling signal: term")
        client.send(b"Host: test\r\n\r\n")
        assert client.response().status == 200
    assert server.wait_exit() == 0
    assert "the background task has ended" in server.stderr


def test_a_stop_does_not_wait_for_ever(asgi) -> None:
    server = asgi("--graceful-timeout", "2")
    with Connection(server.address) as client:
        client.send(encode("GET", "/sleeps"))
        eventually(lambda: "asleep" in journal(server), "the request sleeps")
        assert server.stop() == 0
    assert "lifespan shutdown" in server.stderr and "Forcing close of 1 connections" in server.stderr


def test_a_call_that_stands_still_is_left_at_once(asgi) -> None:
    server = asgi()
    with Connection(server.address) as client:
        client.send(encode("GET", "/blocks"))
        server.wait_log("standing still")
        began = time.monotonic()
        assert server.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 10
    assert "Error handling request" not in server.stderr


def test_who_sends_without_waiting_hears_that_nobody_is_there(shared: Running) -> None:
    for _ in range(5):
        with Connection(shared.address) as client:
            client.send(encode("GET", "/pours"))
            assert client.head().status == 200
        eventually(lambda: "nobody is there" in journal(shared), "the application is told")


def test_no_request_finds_the_context_of_another(shared: Running) -> None:
    with Connection(shared.address) as client:
        for _ in range(2):
            client.send(encode("GET", "/variable") * 3)
            assert [client.response().body for _ in range(3)] == [b"nothing"] * 3


def test_a_request_that_had_reading_resumed_leaves_no_context(serve) -> None:
    server = serve(*ASGI, "--asgi-loop", "asyncio", "--request-buffer", "16K", app="asgi_cases:app")
    with Connection(server.address) as client:
        client.send(encode("POST", "/variable", body=b"x" * 1_000_000))
        assert client.response("POST").body == b"nothing"
        client.send(encode("GET", "/variable"))
        assert client.response().body == b"nothing"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has no eager tasks before 3.12")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_requests_that_come_in_one_piece_do_not_nest(asgi, loop: str) -> None:
    server = asgi("--asgi-loop", loop, env={"EAGER": "1"})
    with Connection(server.address) as client:
        client.send(encode("GET", "/hello") * 1000)
        assert all(client.response().body == b"hello\n" for _ in range(1000))
    assert "Error" not in server.stderr


def test_clients_notice_nothing_of_a_reload(asgi, unfailing) -> None:
    server = asgi("-w", "2")
    before = server.wait_workers(2)
    with unfailing(server):
        server.send(signal.SIGHUP)
        server.wait_workers(2, unlike=before)


def test_an_asgi_application_chooses_its_class(serve) -> None:
    server = serve(app="asgi_cases:app")
    assert fetch(server.address).body == b"hello\n"
    log = server.wait_log("asgi_cases:app is an ASGI application: it is served by the worker class asgi")
    assert log.count("is an ASGI application") == 1


def test_a_class_for_wsgi_refuses_it(run) -> None:
    status, _, stderr = run("-k", "sync", "-b", "127.0.0.1:0", "asgi_cases:app")
    assert status == 4
    assert "asgi_cases:app is an ASGI application; the worker class sync serves WSGI." in stderr


def test_the_class_for_asgi_refuses_a_wsgi_application(run) -> None:
    status, _, stderr = run(*ASGI, "-b", "127.0.0.1:0", "hello:app")
    assert status == 4
    assert "hello:app is a WSGI application; the worker class asgi serves ASGI." in stderr


@pytest.mark.parametrize("name", ["uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornWorker", "asyncio"])
def test_the_class_has_other_names(serve, name: str) -> None:
    assert fetch(serve("-k", name, app="asgi_cases:app").address).body == b"hello\n"


def test_a_broken_application_is_mended_under_reload(serve, tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    path.write_text("1/0\n")
    server = serve(*ASGI, "--reload", app="shop:app", cwd=tmp_path)
    assert "ZeroDivisionError" in fetch(server.address).body.decode()
    whole = "async def app(scope, receive, send):\n    assert scope['type'] == 'http'\n"
    start = "    await send({'type': 'http.response.start', 'status': 200})\n"
    path.write_text(whole + start + "    await send({'type': 'http.response.body', 'body': b'mended'})\n")
    eventually(lambda: fetch(server.address).body == b"mended", "it is mended")


def test_requests_have_ids(asgi) -> None:
    server = asgi(
        "--request-id", "--access-logfile", "-", "--access-logformat", "%({{x-request-id}}i)s %(U)s"
    )
    response = exchange(server.address, encode("GET", "/scope", ("X-Request-ID", "abc-1")))
    fields = dict(json.loads(response.body)["headers"])
    assert (response.value("X-Request-ID"), fields["x-request-id"]) == ("abc-1", "abc-1")
    eventually(lambda: "abc-1 /scope\n" in server.stdout, "the line")
