"""Applications that break PEP 3333 or raise: the answer, the log, and that the worker lives."""

import pytest
from client import Connection, Response, Truncated, encode, fetch
from server import Running


def misuse(server: Running, name: str, **options) -> Response:
    return fetch(server.address, f"/misuse/{name}", **options)


@pytest.fixture(autouse=True)
def worker_survives(shared: Running):
    before = shared.wait_workers(1)
    yield
    assert fetch(shared.address, "/hello/app").body == b"hello\n"
    assert shared.workers() == before


@pytest.mark.parametrize(
    ("name", "logged"),
    [
        ("none", "TypeError"),
        ("number", "TypeError"),
        ("raises", "RuntimeError: before start_response"),
        ("raises_after_start", "RuntimeError: after start_response"),
        ("raises_in_first", "RuntimeError: before the first block"),
        ("exits", "SystemExit"),
        ("unprintable", "Unprintable"),
    ],
)
def test_500(shared: Running, name: str, logged: str) -> None:
    response = misuse(shared, name)
    assert response.status == 500
    assert response.value("Connection") == "close"
    assert response.value("Content-Type") == "text/html"
    assert b"<h1><p>Internal Server Error</p></h1>" in response.body
    assert response.values("X-Lost") == []
    log = shared.wait_log(f"Error handling request GET /misuse/{name}")
    assert logged in log.partition(f"/misuse/{name}\n")[2]


def test_500_keeps_its_secrets(shared: Running) -> None:
    body = misuse(shared, "raises").body
    assert b"before start_response" not in body
    assert b"Traceback" not in body


def test_the_500_page(shared: Running) -> None:
    assert misuse(shared, "raises").body == (
        b"<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n  <body>\n"
        b"    <h1><p>Internal Server Error</p></h1>\n    \n  </body>\n</html>\n"
    )


@pytest.mark.parametrize("name", ["text_second", "raises_after_block", "raises_after_write"])
def test_an_error_after_the_head_cuts_the_connection(shared: Running, name: str) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", f"/misuse/{name}"))
        with pytest.raises(Truncated):
            connection.response()
    shared.wait_log("Error handling request")


def test_no_second_response_after_an_error(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", "/misuse/raises_after_block"))
        assert connection.rest().count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("name", ["too_long", "too_long_in_one"])
def test_a_body_too_long_is_cut(shared: Running, name: str) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", f"/misuse/{name}"))
        assert connection.response().body == b"four"
        assert connection.at_end()


@pytest.mark.better("What is cut off a response, because its Content-Length does not count it, is logged.")
def test_a_body_too_long_is_logged(shared: Running) -> None:
    misuse(shared, "too_long?logged")
    shared.wait_log("8 bytes beyond its Content-Length were cut: GET /misuse/too_long?logged", timeout=2)


def test_hints_may_inject_nothing(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", "/misuse/hints_that_inject"))
        assert connection.rest().startswith(b"HTTP/1.1 500 ")


def test_a_body_where_there_is_none_is_dropped(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", "/misuse/body_of_204"))
        assert connection.response().status == 204
        assert connection.at_end()
    shared.wait_log("no-body response (method=GET status=204)")


def test_a_body_too_short_ends_the_connection(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", "/misuse/too_short"))
        with pytest.raises(Truncated):
            connection.response()


@pytest.mark.better(
    "An application that does not call `start_response` gets a 500; gunicorn's status line says None."
)
@pytest.mark.parametrize("name", ["silent", "silent_and_empty"])
def test_no_start_response(shared: Running, name: str) -> None:
    assert misuse(shared, name).status == 500


@pytest.mark.better("A block that is not bytes gets a 500; gunicorn has sent the head by then.")
def test_text_is_refused_before_the_head(shared: Running) -> None:
    assert misuse(shared, "text").status == 500


def test_text_never_reaches_the_client(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", "/misuse/text"))
        assert not connection.rest().endswith(b"text\r\n0\r\n\r\n")


def test_write_refuses_text(shared: Running) -> None:
    assert misuse(shared, "keeps_write").body == b"body"


def test_the_traceback_is_logged_with_the_applications_frame(shared: Running) -> None:
    misuse(shared, "raises?traced")
    log = shared.wait_log("Error handling request GET /misuse/raises?traced").partition("raises?traced")[2]
    assert "Traceback (most recent call last):" in log
    assert 'misuse.py", line' in log
    assert log.rstrip().endswith("RuntimeError: before start_response")
