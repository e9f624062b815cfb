"""The asgi worker class: HTTP, the lifespan, and the life of a worker."""

import json
import signal
import time
from pathlib import Path

import pytest
from client import Connection, Truncated, encode, exchange, fetch
from server import Running, eventually

ASGI = ("-k", "asgi")


@pytest.fixture(scope="module")
def shared(module_serve) -> Running:
    return module_serve(*ASGI, "--access-logfile", "-", app="asgi_cases:app")


@pytest.fixture
def asgi(serve):
    return lambda *arguments, **options: serve(*ASGI, *arguments, app="asgi_cases:app", **options)


def journal(server: Running) -> list[str]:
    return json.loads(fetch(server.address, "/journal").body)


def test_a_request(shared: Running) -> None:
    response = fetch(shared.address)
    assert (response.status, response.body, response.value("Content-Length")) == (200, b"hello\n", "6")
    assert response.value("Date") and response.value("Server")


def test_a_head_has_no_body(shared: Running) -> None:
    response = fetch(shared.address, "/hello", method="HEAD")
    assert (response.status, response.body, response.value("Content-Length")) == (200, b"", "6")


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_an_upload(shared: Running, size: int) -> None:
    body = b"abcdefg" * (size // 7) + b"x" * (size % 7)
    assert exchange(shared.address, encode("POST", "/echo", body=body)).body == body


def test_a_chunked_upload(shared: Running) -> None:
    chunks = b"5\r\nhello\r\n" + b"%x\r\n" % 50_000 + b"y" * 50_000 + b"\r\n0\r\n\r\n"
    head = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(shared.address, head + chunks).body == b"hello" + b"y" * 50_000


def test_a_body_in_pieces(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nabc")
        for piece in (b"def", b"ghi"):
            client.send(piece)
        assert client.response().body == b"abcdefghi"


def test_a_stream_is_chunked(shared: Running) -> None:
    response = fetch(shared.address, "/stream")
    assert response.framing == "chunked" and response.value("X-Kind") == "stream"
    assert response.body == b"".join(b"block %d\n" % number for number in range(5))


def test_a_stream_for_http_1_0_ends_with_the_connection(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(b"GET /stream HTTP/1.0\r\n\r\n")
        assert client.response().body.endswith(b"block 4\n")


def test_a_large_response(shared: Running) -> None:
    assert len(fetch(shared.address, "/large?5000000").body) == 5_000_000


def test_a_connection_serves_many(shared: Running) -> None:
    with Connection(shared.address) as client:
        for _ in range(5):
            client.send(encode("GET", "/hello"))
            assert client.response().body == b"hello\n"


def test_pipelined_requests_are_answered_in_order(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(b"".join(encode("POST", "/echo", body=b"%d" % number) for number in range(20)))
        assert [client.response().body for _ in range(20)] == [b"%d" % number for number in range(20)]


def test_an_exception_is_a_500_and_a_traceback(shared: Running) -> None:
    assert fetch(shared.address, "/raises").status == 500
    shared.wait_log("ValueError: on purpose")
    assert fetch(shared.address).status == 200


@pytest.mark.parametrize("path", ["/raises_in_the_middle", "/unfinished"])
def test_a_response_that_breaks_off_is_seen_to(shared: Running, path: str) -> None:
    with pytest.raises(Truncated):
        fetch(shared.address, path)


def test_no_response_is_a_500(shared: Running) -> None:
    assert fetch(shared.address, "/silent").status == 500


def test_a_body_is_held_to_its_length(shared: Running) -> None:
    assert fetch(shared.address, "/long").body == b"12345"
    with pytest.raises(Truncated):
        fetch(shared.address, "/short")


def test_no_content(shared: Running) -> None:
    response = fetch(shared.address, "/no_content")
    assert (response.status, response.framing, response.value("Content-Length")) == (204, "none", None)


def test_the_scope(shared: Running) -> None:
    request = encode("PUT", "/scope/a%20b%2Fc?x=%20&y", ("X-Name", "one"), ("X-Name", "two"), body=b"")
    scope = json.loads(exchange(shared.address, request).body)
    host, port = shared.address
    assert scope["client"][0] == host and scope["server"] == [host, port]
    shown = (
        "type",
        "asgi",
        "http_version",
        "method",
        "scheme",
        "root_path",
        "path",
        "raw_path",
        "query_string",
    )
    assert [scope[name] for name in shown] == [
        *("http", "3.0", "1.1", "PUT", "http", "", "/scope/a b/c", "/scope/a%20b%2Fc", "x=%20&y")
    ]
    assert [value for name, value in scope["headers"] if name == "x-name"] == ["one", "two"]


def test_root_path_and_a_secure_scheme(asgi) -> None:
    server = asgi("--root-path", "/shop")
    request = encode("GET", "/scope", ("X-Forwarded-Proto", "https"))
    scope = json.loads(exchange(server.address, request).body)
    assert (scope["root_path"], scope["path"], scope["scheme"]) == ("/shop", "/scope", "https")


def test_half_a_request_delays_nobody(shared: Running) -> None:
    with Connection(shared.address) as half:
        half.send(b"GET /hello HTTP/1.1\r\nHo")
        assert fetch(shared.address).status == 200
        half.send(b"st: test\r\n\r\n")
        assert half.response().status == 200


def test_a_bad_request_is_refused(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHo st: b\r\n\r\n")
        assert client.response().status == 400


def test_requests_are_served_beside_each_other(shared: Running) -> None:
    with Connection(shared.address) as waiting:
        waiting.send(encode("GET", "/waits"))
        eventually(lambda: "waiting" in journal(shared), "the request waits")
        assert fetch(shared.address).status == 200
        fetch(shared.address, "/release")
        assert waiting.response().body == b"released"


def test_100_continue_is_sent_when_the_body_is_asked_for(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.head().status == 100
        client.send(b"ok")
        assert client.response().body == b"ok"


def test_the_access_log(asgi) -> None:
    server = asgi(
        "--access-logfile", "-", "--access-logformat", "%(h)s %(m)s %(U)s %(q)s %(s)s %(B)s %({{x-a}}i)s"
    )
    exchange(server.address, encode("POST", "/echo?q=1", ("X-A", "b"), body=b"12345"))
    eventually(lambda: "127.0.0.1 POST /echo q=1 200 5 b\n" in server.stdout, "the line")


def test_the_lifespan(asgi) -> None:
    server = asgi()
    server.wait_log("lifespan startup")
    assert json.loads(fetch(server.address, "/state").body) == {"began": True, "own": 1}
    assert json.loads(fetch(server.address, "/state").body) == {"began": True, "own": 1}
    assert server.stop() == 0
    assert server.stderr.count("lifespan shutdown") == 1


def test_without_a_lifespan(asgi) -> None:
    server = asgi("--asgi-lifespan", "off")
    assert fetch(server.address).status == 200
    assert server.stop() == 0
    assert "lifespan" not in server.stderr


def test_an_application_that_knows_no_lifespan_is_served(asgi) -> None:
    assert fetch(asgi(env={"LIFESPAN": "raises"}).address).status == 200


@pytest.mark.parametrize(("mode", "how"), [("auto", "fails"), ("on", "fails"), ("on", "raises")])
def test_a_lifespan_that_fails_stops_the_server(kind, run, mode: str, how: str) -> None:
    arguments = (*ASGI, "-b", "127.0.0.1:0", "--asgi-lifespan", mode, "asgi_cases:app")
    status, _, stderr = run(*arguments, env={"LIFESPAN": how})
    assert status == 3 and "ASGI lifespan startup failed" in stderr, stderr


def test_a_graceful_stop_finishes_what_has_begun(asgi) -> None:
    server = asgi("--graceful-timeout", "10")
    with Connection(server.address) as client, Connection(server.address) as other:
        client.send(encode("GET", "/waits"))
        eventually(lambda: "waiting" in journal(server), "the request waits")
        other.send(b"GET /release HTTP/1.1\r\n")
        server.send(signal.SIGTERM)
        server.wait_log("Handling signal: term")
        other.send(b"Host: test\r\n\r\n")
        assert client.response().body == b"released"
    assert server.wait_exit() == 0


def test_a_quick_stop_waits_for_nobody(asgi) -> None:
    server = asgi()
    with Connection(server.address) as client:
        client.send(encode("GET", "/sleeps"))
        eventually(lambda: "asleep" in journal(server), "the request sleeps")
        began = time.monotonic()
        assert server.stop(signal.SIGQUIT) == 0
        assert time.monotonic() - began < 8


def test_hup_replaces_the_workers(asgi) -> None:
    server = asgi("-w", "2")
    before = server.wait_workers(2)
    assert int(fetch(server.address, "/pid").body) in before
    server.send(signal.SIGHUP)
    after = server.wait_workers(2, unlike=before)
    assert int(fetch(server.address, "/pid").body) in after


def test_a_worker_is_replaced_after_max_requests(asgi) -> None:
    server = asgi("--max-requests", "5")
    before = server.wait_workers(1)
    for _ in range(5):
        assert fetch(server.address).status == 200
    server.wait_workers(1, unlike=before)
    server.wait_log("Autorestarting worker after current request.")


def test_a_worker_whose_loop_is_stuck_is_killed(serve, tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(
        "import time\n\nasync def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n    time.sleep(60)\n"
    )
    server = serve(*ASGI, "--timeout", "1", app="stuck:app", cwd=tmp_path)
    before = server.wait_workers(1)
    with Connection(server.address) as client:
        client.send(encode("GET", "/"))
        server.wait_log("WORKER TIMEOUT")
    server.wait_workers(1, unlike=before)


def test_a_client_that_leaves_is_told_of(shared: Running) -> None:
    with Connection(shared.address) as client:
        client.send(encode("GET", "/until_gone"))
        eventually(lambda: "begun" in journal(shared), "the request begins")
    eventually(lambda: "http.disconnect" in journal(shared), "it is told")


def test_without_its_client_a_call_is_cancelled(asgi) -> None:
    server = asgi("--asgi-disconnect-grace-period", "0")
    with Connection(server.address) as client:
        client.send(encode("GET", "/sleeps"))
        eventually(lambda: "asleep" in journal(server), "the request sleeps")
    eventually(lambda: "cancelled" in journal(server), "it is cancelled")


def test_what_goes_on_after_the_response_keeps_nobody(asgi) -> None:
    server = asgi()
    with Connection(server.address) as client:
        client.send(encode("GET", "/in_the_background"))
        assert client.response().body == b"answered"
        client.send(encode("GET", "/hello"))
        assert client.response().body == b"hello\n"
        client.send(encode("GET", "/release"))
        assert client.response().status == 200
    server.wait_log("the background task has ended")


def test_hooks_see_requests(asgi, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(
        "def pre_request(worker, req):\n    worker.log.info('before %s %s', req.method, req.path)\n"
        "def post_request(worker, req, environ, resp):\n    worker.log.info('after %s', req.path)\n"
    )
    server = asgi("-c", str(tmp_path / "hooks.py"))
    assert fetch(server.address, "/hello").status == 200
    log = server.wait_log("after /hello")
    assert log.index("before GET /hello") < log.index("after /hello")


def test_on_a_unix_socket(asgi) -> None:
    assert fetch(asgi(bind="unix").address).body == b"hello\n"


@pytest.mark.better("On a UNIX socket the `server` of an ASGI scope is the path of the socket.")
def test_the_scope_on_a_unix_socket(asgi) -> None:
    server = asgi(bind="unix")
    scope = json.loads(fetch(server.address, "/scope").body)
    assert scope["server"] == [server.address, None] and scope["client"] is None
