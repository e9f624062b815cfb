"""The environ: every key gunicorn sets, and its value."""

import json

import pytest
from client import encode, exchange, fetch
from server import Running

ALWAYS = {
    "REQUEST_METHOD": str,
    "QUERY_STRING": str,
    "RAW_URI": str,
    "SERVER_PROTOCOL": str,
    "SERVER_SOFTWARE": str,
    "SCRIPT_NAME": str,
    "PATH_INFO": str,
    "REMOTE_ADDR": str,
    "REMOTE_PORT": str,
    "SERVER_NAME": str,
    "SERVER_PORT": str,
    "HTTP_HOST": str,
    "wsgi.version": list,
    "wsgi.url_scheme": str,
    "wsgi.input": str,
    "wsgi.input_terminated": bool,
    "wsgi.errors": str,
    "wsgi.multithread": bool,
    "wsgi.multiprocess": bool,
    "wsgi.run_once": bool,
    "wsgi.file_wrapper": str,
    "wsgi.early_hints": str,
    "gunicorn.socket": str,
}


def environ(server: Running, *fields: tuple[str, str], target: str = "/bodies/describe", **options) -> dict:
    response = fetch(server.address, target, *fields, **options)
    assert response.status == 200
    return json.loads(response.body)


def test_keys(shared: Running) -> None:
    described = environ(shared)
    assert described.pop("exact dict") is True
    assert {key: type(value) for key, value in described.items()} == ALWAYS


def test_values(shared: Running) -> None:
    host, port = shared.address
    expected = {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "a=1&b=%20",
        "RAW_URI": "/bodies/describe/x%20y?a=1&b=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/bodies/describe/x y",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "HTTP_HOST": "test",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    described = environ(shared, target="/bodies/describe/x%20y?a=1&b=%20")
    assert {key: described[key] for key in expected} == expected
    assert described["REMOTE_PORT"].isdecimal()


def test_software(shared: Running) -> None:
    assert environ(shared)["SERVER_SOFTWARE"].startswith(f"{shared.kind.name}/")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/bodies/describe/%2F", "/bodies/describe//"),
        ("/bodies/describe/caf%C3%A9", "/bodies/describe/caf\xc3\xa9"),
        ("/bodies/describe/%zz%4", "/bodies/describe/%zz%4"),
        ("/bodies/describe/a+b", "/bodies/describe/a+b"),
        ("/bodies/describe/%00", "/bodies/describe/\0"),
        ("/bodies/describe/a;b=c", "/bodies/describe/a;b=c"),
        ("/bodies/describe//x//y", "/bodies/describe//x//y"),
        ("/bodies/describe/?", "/bodies/describe/"),
        ("/bodies/describe/#part", "/bodies/describe/"),
        ("http://other/bodies/describe/x", "/bodies/describe/x"),
    ],
)
def test_path(shared: Running, target: str, path: str) -> None:
    described = environ(shared, target=target)
    assert described["PATH_INFO"] == path
    assert described["RAW_URI"] == target


@pytest.mark.parametrize(
    ("target", "query"),
    [("?", ""), ("?a=b", "a=b"), ("?a?b", "a?b"), ("?%C3%A9=%20", "%C3%A9=%20"), ("?a#b", "a"), ("", "")],
)
def test_query(shared: Running, target: str, query: str) -> None:
    assert environ(shared, target=f"/bodies/describe{target}")["QUERY_STRING"] == query


def test_fields(shared: Running) -> None:
    described = environ(
        shared,
        ("X-Lower-Case", "v"),
        ("x-padded", " \t padded \t"),
        ("X-Twice", "one"),
        ("X-Twice", "two"),
        ("X-Empty", ""),
        ("X-Latin", "caf\xe9"),
        ("Cookie", "a=b; c=d"),
    )
    assert described["HTTP_X_LOWER_CASE"] == "v"
    assert described["HTTP_X_PADDED"] == "padded"
    assert described["HTTP_X_TWICE"] == "one,two"
    assert described["HTTP_X_EMPTY"] == ""
    assert described["HTTP_X_LATIN"] == "caf\xe9"
    assert described["HTTP_COOKIE"] == "a=b; c=d"


def test_underscores_are_dropped(shared: Running) -> None:
    described = environ(shared, ("X_Forged", "1"), ("X-Real", "2"))
    assert "HTTP_X_FORGED" not in described
    assert described["HTTP_X_REAL"] == "2"


def test_proxy_field_is_an_ordinary_field(shared: Running) -> None:
    assert environ(shared, ("X-Forwarded-For", "9.9.9.9"))["REMOTE_ADDR"] == "127.0.0.1"


def test_content_fields(shared: Running) -> None:
    described = environ(shared, ("Content-Type", "text/x"), method="POST", body=b"12345")
    assert described["CONTENT_TYPE"] == "text/x"
    assert described["CONTENT_LENGTH"] == "5"
    assert "HTTP_CONTENT_TYPE" not in described
    assert "HTTP_CONTENT_LENGTH" not in described


def test_chunked_has_no_content_length(shared: Running) -> None:
    fields = (("Transfer-Encoding", "chunked"), ("Content-Type", "text/x"))
    described = environ(shared, *fields, method="POST", body=b"2\r\nab\r\n0\r\n\r\n")
    assert "CONTENT_LENGTH" not in described
    assert described["HTTP_TRANSFER_ENCODING"] == "chunked"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCALENDAR"])
def test_method(shared: Running, method: str) -> None:
    assert environ(shared, method=method)["REQUEST_METHOD"] == method


def test_protocol_of_1_0(shared: Running) -> None:
    assert environ(shared, version="1.0")["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_no_host(shared: Running) -> None:
    response = exchange(shared.address, b"GET /bodies/describe HTTP/1.1\r\n\r\n")
    assert "HTTP_HOST" not in json.loads(response.body)


def test_multiprocess(serve) -> None:
    assert environ(serve("-w", "2", app="cases:app"))["wsgi.multiprocess"] is True


@pytest.mark.parametrize(("value", "scheme"), [("https", "https"), ("http", "http")])
def test_scheme_from_a_trusted_proxy(shared: Running, value: str, scheme: str) -> None:
    assert environ(shared, ("X-Forwarded-Proto", value))["wsgi.url_scheme"] == scheme


def test_scheme_from_anyone_else(serve) -> None:
    server = serve("--forwarded-allow-ips", "10.0.0.1", app="cases:app")
    assert environ(server, ("X-Forwarded-Proto", "https"))["wsgi.url_scheme"] == "http"


def test_contradictory_schemes(shared: Running) -> None:
    fields = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "off"))
    assert exchange(shared.address, encode("GET", "/bodies/describe", *fields)).status == 400


def test_script_name_from_a_trusted_proxy(shared: Running) -> None:
    described = environ(shared, ("Script_Name", "/bodies"), target="/bodies/bodies/describe")
    assert described["SCRIPT_NAME"] == "/bodies"
    assert described["PATH_INFO"] == "/bodies/describe"


def test_script_name_from_the_environment(serve) -> None:
    server = serve(app="cases:app", env={"SCRIPT_NAME": "/mounted"})
    described = environ(server, target="/mounted/bodies/describe")
    assert described["SCRIPT_NAME"] == "/mounted"
    assert described["PATH_INFO"] == "/bodies/describe"


def test_unix_peer(serve) -> None:
    described = environ(serve(app="cases:app", bind="unix"), ("Host", "name:81"))
    assert described["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in described
    assert (described["SERVER_NAME"], described["SERVER_PORT"]) == ("name", "81")
    described = environ(serve(app="cases:app", bind="unix"), ("Host", "name"))
    assert (described["SERVER_NAME"], described["SERVER_PORT"]) == ("name", "80")
