"""Clients that are too slow: what ends them, with which answer, and what it costs nobody else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from client import Connection, Response, encode, exchange, fetch
from server import Running

BODY = encode("POST", "/bodies/error", ("Content-Length", "1000000"), body=b"x" * 100)
LARGE = encode("POST", "/bodies/error", ("Content-Length", "10000000"), body=b"x" * (1 << 20))


@pytest.fixture(scope="module", params=["sync", "gthread"])
def impatient(request: pytest.FixtureRequest, module_serve: Callable[..., Running]) -> Running:
    limits = ("request-head", "request-body", "send")
    threads = ("--threads", "2") if request.param == "gthread" else ()
    return module_serve(
        *threads,
        *(word for limit in limits for word in (f"--{limit}-timeout", "1")),
        *("--timeout", "20", "--linger-timeout", "1", "--limit-request-body", "60000000"),
        app="cases:app",
    )


@contextmanager
def dripping(connection: Connection) -> Iterator[None]:
    """Sends a byte every tenth of a second."""
    stopped = Event()

    def drip() -> None:
        while not stopped.wait(0.1):
            try:
                connection.send(b"x")
            except OSError:
                return

    thread = Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def assert_timed_out(response: Response) -> None:
    assert (response.status, response.reason) == (408, "Request Timeout")
    assert response.value("Connection") == "close"
    assert 0 < len(response.body) < 500


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nX: ", BODY], ids=["head", "body"])
@pytest.mark.parametrize("drips", [False, True], ids=["stalls", "drips"])
def test_a_slow_request_ends_with_408(impatient: Running, data: bytes, drips: bool) -> None:
    told = impatient.stderr.count("is too slow")
    with Connection(impatient.address) as connection:
        connection.send(data)
        if drips:
            with dripping(connection):
                assert_timed_out(connection.response())
        else:
            assert_timed_out(connection.response())
        assert connection.at_end()
    what = "body" if data is BODY else "head"
    assert impatient.stderr.count("is too slow") == told + 1
    assert f"Client at 127.0.0.1 is too slow: the request's {what} did not come in time" in impatient.stderr


def test_a_silent_client_gets_nothing(impatient: Running) -> None:
    before = impatient.stderr
    with Connection(impatient.address) as connection:
        assert connection.at_end()
    assert impatient.stderr == before


@pytest.mark.parametrize("drips", [False, True], ids=["stalls", "drips"])
def test_an_application_does_not_wait_for_ever(impatient: Running, drips: bool) -> None:
    """The body is larger than what is received ahead: the application reads it from the client."""
    with Connection(impatient.address) as connection:
        connection.send(LARGE)
        if drips:
            with dripping(connection):
                response = connection.response()
        else:
            response = connection.response()
        assert response.body == b'"OSError"'
    assert fetch(impatient.address, "/hello/app").status == 200


def test_a_client_that_is_slow_but_not_too_slow_is_served(impatient: Running) -> None:
    body = b"x" * 1800
    with Connection(impatient.address) as connection:
        connection.send(encode("POST", "/bodies/echo", ("Content-Length", str(len(body)))))
        for at in range(0, len(body), 150):
            connection.send(body[at : at + 150])
            time.sleep(0.15)  # twice the rate, and longer in all than any pause may be
        assert connection.response().body == body


def test_an_application_that_does_not_catch_it_is_answered_for(impatient: Running) -> None:
    with Connection(impatient.address) as connection:
        connection.send(LARGE.replace(b"/bodies/error", b"/bodies/streamed"))
        assert_timed_out(connection.response())


def test_a_client_that_does_not_read_is_closed(impatient: Running) -> None:
    told = impatient.stderr.count("the response is not read")
    with Connection(impatient.address) as connection:
        connection.send(encode("GET", "/iterables/large?30000000"))
        impatient.wait_log("Client at 127.0.0.1 is too slow: the response is not read", told + 1)
        assert len(connection.rest()) < 30_000_000


def test_an_application_does_not_wait_for_a_reader_for_ever(impatient: Running) -> None:
    with Connection(impatient.address) as connection:
        connection.send(encode("GET", "/bodies/endless_blocks"))
        impatient.wait_log("Client at 127.0.0.1 is too slow: the client does not read the response")
        assert len(connection.rest()) < 512 * 65536
    assert fetch(impatient.address, "/hello/app").status == 200


def test_the_workers_timeout_is_not_reached(serve) -> None:
    """Whatever a client may take by itself: a worker that waits for it must not look stuck."""
    server = serve("--timeout", "2", app="cases:app")
    (worker,) = server.wait_workers(1)
    with Connection(server.address) as connection:
        connection.send(LARGE)
        assert connection.response().body == b'"OSError"'
    assert server.workers() == [worker]
    assert "WORKER TIMEOUT" not in server.stderr


def test_zero_is_for_ever(serve) -> None:
    server = serve(
        *("--request-head-timeout", "0", "--request-body-timeout", "0", "--request-body-min-rate", "1000000"),
        app="cases:app",
    )
    with Connection(server.address) as head, Connection(server.address) as body:
        head.send(b"GET /hello/app HTTP/1.1\r\nHost: ")
        body.send(encode("POST", "/bodies/echo", ("Content-Length", "4"), body=b"12"))
        time.sleep(1.5)  # the thing under test is that nothing happens
        head.send(b"x\r\n\r\n")
        body.send(b"34")
        assert head.response().body == b"hello\n"
        assert body.response().body == b"1234"


REFUSED = {
    "a bad head": (b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n", 400),
    "a long line": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
    "a bad chunk": (encode("POST", "/bodies/echo", ("Transfer-Encoding", "chunked"), body=b"zz\r\n"), 400),
    "too large a body": (encode("POST", "/bodies/echo", ("Content-Length", "70000000")), 413),
    "a body that nobody reads": (encode("POST", "/hello/app", ("Content-Length", "50000000")), 200),
}


@pytest.mark.parametrize("why", REFUSED)
def test_the_answer_reaches_a_client_that_keeps_sending(impatient: Running, why: str) -> None:
    """The client reads only when it has sent everything: a reset would have destroyed the answer."""
    request, status = REFUSED[why]
    with Connection(impatient.address) as connection:
        connection.send(request)
        for _ in range(20):
            connection.send(b"x" * (1 << 20))
        connection.socket.shutdown(1)
        response = connection.response()
        assert response.status == status
        assert connection.at_end()


def test_the_answer_to_a_slow_client_survives_what_it_sends_later(impatient: Running) -> None:
    with Connection(impatient.address) as connection:
        connection.send(BODY)
        impatient.wait_log("is too slow", impatient.stderr.count("is too slow") + 1)
        for _ in range(10):
            connection.send(b"x" * 100_000)
        assert_timed_out(connection.response())


def test_a_client_that_never_stops_sending_is_closed(serve) -> None:
    server = serve("--linger-timeout", "1", app="cases:app")
    with Connection(server.address) as connection:
        connection.send(b"broken\r\n\r\n")
        start = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - start < 10:
                connection.send(b"x" * 65536)
        assert fetch(server.address, "/hello/app").status == 200


def test_a_small_buffer_for_requests(serve) -> None:
    """The application is called when so much of the body is here."""
    server = serve("--request-buffer", "1K", app="cases:app")
    with Connection(server.address) as connection:
        connection.send(encode("POST", "/bodies/streamed", ("Content-Length", "5000"), body=b"x" * 2000))
        server.wait_log("reading")
        connection.send(b"x" * 3000)
        assert connection.response().body == b"5000"


def test_no_buffer_for_requests(serve) -> None:
    server = serve("--request-buffer", "0", app="cases:app")
    with Connection(server.address) as connection:
        connection.send(encode("POST", "/bodies/streamed", ("Content-Length", "5")))
        server.wait_log("reading")
        connection.send(b"hello")
        assert connection.response().body == b"5"
    assert exchange(server.address, encode("GET", "/hello/app")).status == 200
