"""`request_timeout`: a request that stays in the application is told of, answered, and at last given up."""

from pathlib import Path

import pytest
from client import Connection, Truncated, encode, fetch
from server import Running, eventually

LATE = "Request has been in the application for"
CLASSES = pytest.mark.parametrize(
    "threads",
    [("-k", "sync"), ("-k", "gthread", "--threads", "2"), ("-k", "gevent")],
    ids=["sync", "gthread", "gevent"],
)


@pytest.fixture
def late(serve, tmp_path: Path):
    """A server of one worker whose requests have a second."""

    def late(*arguments: str, app: str = "stuck:app", limit: str = "1") -> Running:
        arguments = ("--request-timeout", limit, "--graceful-timeout", "5", *arguments)
        server = serve(*arguments, app=app, env={"RELEASES": str(tmp_path)})
        server.wait_workers(1)
        return server

    return late


def errors(server: Running) -> int:
    return server.stderr.count("[ERROR]")


@CLASSES
def test_it_is_answered_and_told_with_its_stack(late, tmp_path: Path, threads: tuple[str, ...]) -> None:
    server = late(*threads, "--request-id")
    before = server.wait_workers(1)
    with Connection(server.address) as client:
        client.send(encode("GET", "/one?x=1", ("X-Request-ID", "abc-1")))
        response = client.response()
        assert (response.status, response.value("Connection")) == (504, "close")
        assert client.rest() == b""
    log = server.wait_log("time.sleep(0.01)")
    (tmp_path / "one").touch()
    server.wait_log("refused: the request took longer than request_timeout")
    assert log.count(LATE) == 1 and "(request_timeout): GET /one?x=1 [" in log
    told = log[log.index(LATE) :]
    assert told.index("most recent call last") < told.index("in app\n") < told.index("in wait_for_release\n")
    assert fetch(server.address, "/free").body == b"hello"
    # It came back in time: nobody is replaced, and what its late answer raised is no second error.
    assert server.workers() == before and errors(server) == 1


@CLASSES
def test_a_response_that_has_begun_is_cut(late, threads: tuple[str, ...]) -> None:
    server = late(*threads, app="stuck:begun")
    with Connection(server.address) as client:
        client.send(encode("GET", "/one"))
        with pytest.raises(Truncated):
            client.response()
    server.wait_log("in wait_for_release")


@CLASSES
def test_a_response_that_is_whole_is_delivered(late, threads: tuple[str, ...]) -> None:
    server = late(*threads, app="stuck:closing")
    assert fetch(server.address, "/one").body == b"hello"
    server.wait_log(LATE)


@CLASSES
def test_a_client_that_does_not_read_counts_in(late, threads: tuple[str, ...]) -> None:
    server = late(*threads, app="stuck:large")
    before = server.wait_workers(1)
    with Connection(server.address) as client:
        client.send(encode("GET", "/one"))
        server.wait_log(LATE)
        with pytest.raises((Truncated, ConnectionError)):
            client.response()
    # Its thread is free again.
    assert len(fetch(server.address, "/free").body) == 1_000_000
    assert server.workers() == before


@CLASSES
def test_a_stuck_worker_is_replaced_before_it_goes(late, threads: tuple[str, ...]) -> None:
    server = late(*threads)
    before = server.wait_workers(1)
    assert fetch(server.address, "/one").status == 504
    log = server.wait_log("Replacing this worker: a request has been in the application for")
    assert log.count(LATE) == 1
    assert fetch(server.address, "/free").body == b"hello"
    # Without waiting for the thread that does not come back, nor being killed.
    eventually(lambda: not set(before) & set(server.workers()), "the stuck worker goes", 4)
    assert "SIGKILL" not in server.stderr and "WORKER TIMEOUT" not in server.stderr
    assert fetch(server.address, "/free").body == b"hello"


def test_others_are_served_meanwhile(late) -> None:
    server = late("--threads", "2")
    with Connection(server.address) as client:
        client.send(encode("GET", "/one"))
        server.wait_log("started /one")
        assert fetch(server.address, "/free").body == b"hello"
        assert client.response().status == 504


def test_the_timeout_of_a_worker_with_one_thread_stays(late) -> None:
    server = late("--timeout", "1", limit="30")
    before = server.wait_workers(1)
    with Connection(server.address) as client:
        client.send(encode("GET", "/one"))
        server.wait_log("WORKER TIMEOUT")
        assert client.rest() == b""
    server.wait_workers(1, unlike=before)
    assert fetch(server.address, "/free").body == b"hello"


@CLASSES
def test_short_requests_do_not_notice(late, threads: tuple[str, ...]) -> None:
    server = late(*threads, limit="30")
    for _ in range(20):
        assert fetch(server.address, "/free").body == b"hello"
    assert errors(server) == 0
