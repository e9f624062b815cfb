"""`--access-logformat json` and `--request-id`: each line is an object, whatever a client sends."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone

import pytest
from client import encode, exchange, fetch
from server import Running, eventually

FLAGS = ("--access-logfile", "-", "--access-logformat", "json")


def lines(server: Running, count: int = 1) -> list[dict]:
    whole = eventually(lambda: server.stdout.count("\n") >= count and server.stdout, f"{count} lines")
    return [json.loads(line) for line in whole.splitlines()]


def test_members(serve) -> None:
    server = serve(*FLAGS, app="cases:app")
    fields = [("User-Agent", "curl/8"), ("Referer", "http://from/"), ("Authorization", "Basic bWU6eA==")]
    fetch(server.address, "/hello/app?a=b%20c", *fields)
    (line,) = lines(server)
    then = datetime.fromisoformat(line.pop("timestamp"))
    assert abs((datetime.now(timezone.utc) - then).total_seconds()) < 30
    assert isinstance(line.pop("http.server.request.duration"), float)
    assert line == {
        "client.address": "127.0.0.1",
        "user.name": "me",
        "http.request.method": "GET",
        "url.path": "/hello/app",
        "url.query": "a=b%20c",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "http.response.body.size": 6,
        "user_agent.original": "curl/8",
        "http.request.header.referer": "http://from/",
        "process.pid": server.workers()[0],
    }


@pytest.mark.parametrize(
    "agent", [b'"},{"forged":"1', b"tab\there", b"\\", b"caf\xc3\xa9", b"\xff\xfe broken", b"\x80" * 300]
)
def test_no_value_breaks_a_line(serve, agent: bytes) -> None:
    server = serve(*FLAGS)
    request = encode("GET", '/"quoted"', ("Connection", "close")).replace(
        b"Connection: close", b"Connection: close\r\nUser-Agent: " + agent
    )
    exchange(server.address, request)
    (line,) = lines(server)
    assert "forged" not in line
    assert line["url.path"] in ('/"quoted"', "/%22quoted%22")
    try:
        assert line["user_agent.original"] == agent.decode()
    except UnicodeDecodeError:
        assert line["user_agent.original"]


def test_a_request_has_an_id(serve) -> None:
    server = serve(*FLAGS, "--request-id", app="cases:app")
    made = fetch(server.address, "/hello/app").value("X-Request-ID")
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    # Loopback is trusted.
    taken = fetch(server.address, "/hello/app", ("X-Request-ID", "from.the-proxy_1"))
    assert taken.value("X-Request-ID") == "from.the-proxy_1"
    other = fetch(server.address, "/misuse/raises", ("X-Request-ID", "bad id\tof spaces"))
    assert re.fullmatch(r"[0-9a-f]{32}", other.value("X-Request-ID"))
    ids = [line["http.request.id"] for line in lines(server, 3)]
    assert ids == [made, "from.the-proxy_1", other.value("X-Request-ID")]
    assert f"Error handling request GET /misuse/raises [{ids[2]}]" in server.wait_log("Traceback")


def test_strangers_choose_no_id(serve, tmp_path) -> None:
    (tmp_path / "ids.py").write_text(
        "def app(environ, start):\n"
        "    start('200 OK', [])\n"
        "    return [(environ['HTTP_X_REQUEST_ID'] + ' ' + environ['rwsgi.request_id']).encode()]\n"
    )
    server = serve("--request-id", "--forwarded-allow-ips", "10.0.0.1", app="ids:app", cwd=tmp_path)
    response = fetch(server.address, "/", ("X-Request-ID", "chosen"))
    one, other = response.body.decode().split()
    assert one == other == response.value("X-Request-ID") != "chosen"
