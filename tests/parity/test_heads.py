"""start_response, and the head that is made of it."""

import pytest
from client import BadResponse, Connection, Response, Truncated, encode, fetch
from server import Running

ERROR_PAGE = b"<h1><p>Internal Server Error</p></h1>"


def head(server: Running, name: str, **options) -> Response:
    return fetch(server.address, f"/heads/{name}", **options)


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("created", 201, "Created"), ("own_reason", 299, "Quite Fine"), ("not_found", 404, "Not Found")],
)
def test_status(shared: Running, name: str, status: int, reason: str) -> None:
    response = head(shared, name)
    assert (response.status, response.reason, response.body) == (status, reason, b"body")


def test_order(shared: Running) -> None:
    names = [name for name, _ in head(shared, "repeated").fields]
    own = [name for name in names if name in ("Set-Cookie", "Content-Type")]
    assert names[:3] == ["Server", "Date", "Connection"]
    assert own == ["Set-Cookie", "Content-Type", "Set-Cookie"]


def test_server_field(shared: Running) -> None:
    assert head(shared, "created").value("Server") == shared.kind.name


def test_date_is_an_http_date(shared: Running) -> None:
    from email.utils import parsedate_to_datetime
    from time import time

    date = head(shared, "created").value("Date")
    assert date is not None
    assert date.endswith(" GMT")
    assert len(date) == 29
    assert abs(parsedate_to_datetime(date).timestamp() - time()) < 5


def test_application_may_not_set_server_and_date(shared: Running) -> None:
    response = head(shared, "own_server")
    assert response.value("Server") == shared.kind.name
    assert response.value("Date") != "never"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("own_case", "x-LOWER-Upper", "as Given"),
        ("padded", "X-Padded", "value"),
        ("latin", "X-Latin", "caf\xe9"),
        ("empty_value", "X-Empty", ""),
    ],
)
def test_field(shared: Running, name: str, field: str, value: str) -> None:
    assert (field, value) in head(shared, name).fields


def test_repeated_fields_stay_apart(shared: Running) -> None:
    assert head(shared, "repeated").values("Set-Cookie") == ["a=1", "b=2"]


def test_hop_by_hop_fields_are_dropped(shared: Running) -> None:
    response = head(shared, "hop_by_hop")
    assert response.status == 200
    assert response.values("Connection") == ["close"]
    for name in ("Keep-Alive", "TE", "Trailers", "Upgrade"):
        assert response.values(name) == []
    response = head(shared, "proxy_fields")
    assert response.values("X-Kept") == ["yes"]
    assert response.values("Proxy-Authenticate") == response.values("Proxy-Authorization") == []


def test_transfer_coding_is_the_servers(shared: Running) -> None:
    response = head(shared, "own_coding")
    assert response.values("Transfer-Encoding") in ([], ["chunked"])
    assert response.body == b"body"


@pytest.mark.parametrize(
    "name",
    [
        "bad_status_text",
        "bad_status_short",
        "bad_status_newline",
        "bad_status_unicode",
        "bad_value_newline",
        "bad_value_lf",
        "bad_value_nul",
        "bad_value_unicode",
        "bad_value_type",
        "bad_name_space",
        "bad_name_colon",
        "bad_name_newline",
        "bad_name_empty",
        "bad_name_type",
        "bad_length",
        "status_bytes",
    ],
)
def test_invalid_heads_become_500(shared: Running, name: str) -> None:
    response = head(shared, name)
    assert response.status == 500
    assert ERROR_PAGE in response.body
    assert response.values("X-Injected") == []
    shared.wait_log(f"Error handling request GET /heads/{name}")


def test_a_second_call_is_an_error(shared: Running) -> None:
    assert head(shared, "twice").status == 500


def test_exc_info_replaces_the_status(shared: Running) -> None:
    response = head(shared, "twice_with_exc_info")
    assert (response.status, response.body) == (503, b"replaced")
    assert response.value("X-Second") == "2"


@pytest.mark.better(
    "`start_response` called again with `exc_info` replaces the first call's fields; gunicorn sends both."
)
def test_exc_info_replaces_the_fields(shared: Running) -> None:
    response = head(shared, "twice_with_exc_info")
    assert response.values("X-First") == []
    assert response.values("Content-Type") == ["text/plain"]


def test_exc_info_after_the_head_cuts_the_connection(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", "/heads/exc_info_after_head"))
        with pytest.raises(Truncated):
            connection.response()
    shared.wait_log("found out too late")


@pytest.mark.parametrize("name", ["three_positional", "keyword_exc_info"])
def test_exc_info_may_be_none(shared: Running, name: str) -> None:
    assert head(shared, name).body == b"body"


@pytest.mark.parametrize("name", ["no_content", "no_content_with_body"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_204(shared: Running, name: str, version: str) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", f"/heads/{name}", version=version))
        response = connection.response()
        assert response.status == 204
        assert response.values("Content-Length") == response.values("Transfer-Encoding") == []
        assert connection.at_end()


@pytest.mark.parametrize("name", ["not_modified", "not_modified_with_body"])
def test_304(shared: Running, name: str) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", f"/heads/{name}"))
        response = connection.response()
        assert response.status == 304
        assert response.values("Transfer-Encoding") == []
        assert connection.at_end()


@pytest.mark.parametrize(
    "target", ["/iterables/one_block", "/iterables/generator", "/iterables/large", "/iterables/file"]
)
def test_head(shared: Running, target: str) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("HEAD", target))
        response = connection.response("HEAD")
        assert response.status == 200
        assert response.values("Transfer-Encoding") == []
        assert connection.at_end()


def test_head_keeps_the_applications_length(shared: Running) -> None:
    assert fetch(shared.address, "/iterables/with_length", method="HEAD").value("Content-Length") == "11"


def test_the_status_line_answers_in_the_clients_version(shared: Running) -> None:
    assert head(shared, "created", version="1.0").version == "HTTP/1.0"
    assert head(shared, "created", version="1.1").version == "HTTP/1.1"


def test_sync_closes(shared: Running) -> None:
    with Connection(shared.address) as connection:
        connection.send(encode("GET", "/iterables/with_length", ("Connection", "keep-alive")))
        assert connection.response().value("Connection") == "close"
        assert connection.at_end()


def test_early_hints(shared: Running) -> None:
    response = fetch(shared.address, "/bodies/early_hints")
    assert [(hint.status, hint.reason, hint.fields) for hint in response.interim] == [
        (103, "Early Hints", [("Link", "</style.css>; rel=preload")])
    ]
    assert (response.status, response.body) == (200, b'"done"')
    assert fetch(shared.address, "/bodies/early_hints", version="1.0").interim == []


def test_the_client_is_strict() -> None:
    """What the assertions above rest on: a malformed response does fail."""
    import socket

    ours, theirs = socket.socketpair()
    connection = Connection.__new__(Connection)
    connection.socket, connection.received, connection.eof = ours, bytearray(), False
    theirs.sendall(b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n")
    with ours, theirs, pytest.raises(BadResponse):
        connection.response()
