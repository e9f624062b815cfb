"""The error log's lines and the access log's atoms."""

import os
import re
import time
from datetime import datetime

import pytest
from client import encode, exchange, fetch
from server import Running, eventually

ERROR_LINE = re.compile(
    r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})\] \[(\d+)\] \[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] (.*)"
)
DEFAULT_LINE = re.compile(
    r"127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
    r'"(.*)" (\d+) (\d+) "(.*)" "(.*)"\n'
)


def error_lines(server: Running) -> list[tuple[str, str, str, str]]:
    matches = [ERROR_LINE.fullmatch(line) for line in server.stderr.splitlines()]
    assert all(matches), server.stderr
    return [match.groups() for match in matches if match]


def test_the_life_of_a_server(serve, kind) -> None:
    server = serve()
    (worker,) = server.wait_workers(1)
    fetch(server.address)
    assert server.stop() == 0
    lines = error_lines(server)
    address = f"http://127.0.0.1:{server.address[1]}"
    master, its = str(server.pid), str(worker)
    expected = [
        (master, "INFO", rf"Starting {kind.name} \d+\.\d+\.\d+"),
        (master, "INFO", rf"Listening at: {address} \({master}\)"),
        (master, "INFO", "Using worker: sync"),
        (its, "INFO", rf"Booting worker with pid: {its}"),
        (master, "INFO", "Handling signal: term"),
        (its, "INFO", rf"Worker exiting \(pid: {its}\)"),
        (master, "INFO", "Shutting down: Master"),
    ]
    assert [(pid, level) for _, pid, level, _ in lines] == [(pid, level) for pid, level, _ in expected]
    for (_, _, _, message), (_, _, pattern) in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, message)
    logged = datetime.strptime(lines[0][0], "%Y-%m-%d %H:%M:%S %z").timestamp()
    assert abs(logged - time.time()) < 30


@pytest.mark.parametrize(
    ("level", "said"), [("debug", True), ("info", True), ("warning", False), ("error", False)]
)
def test_level(serve, level: str, said: bool) -> None:
    server = serve("--log-level", level)
    fetch(server.address)
    assert server.stop() == 0
    assert ("Listening at" in server.stderr) is said
    assert ("[DEBUG]" in server.stderr) is (level == "debug")


def test_error_log_in_a_file(serve) -> None:
    server = serve("--error-logfile", "{home}/log")
    fetch(server.address)
    server.stop()
    assert "Listening at" in (server.home / "log").read_text()
    assert server.stderr == ""


def test_log_files_are_appended_to(serve, tmp_path) -> None:
    log = tmp_path / "log"
    log.write_text("kept\n")
    server = serve("--log-file", str(log), "--access-logfile", str(log))
    fetch(server.address)
    server.stop()
    assert log.read_text().startswith("kept\n[")
    assert '"GET / HTTP/1.1" 200' in log.read_text()


def test_an_unwritable_log(run) -> None:
    status, _, stderr = run("--error-logfile", "/not/there/log", "hello:app")
    assert status == 1
    assert "/not/there/log" in stderr


def access(serve, request: bytes, *arguments: str) -> str:
    """The access log after one request."""
    server = serve("--access-logfile", "{home}/access", *arguments, app="cases:app")
    exchange(server.address, request)
    return eventually((server.home / "access").read_text, "a line in the access log")


def test_off_by_default(serve) -> None:
    server = serve()
    fetch(server.address, "/quiet")
    server.stop()
    assert server.stdout == ""
    assert "/quiet" not in server.stderr


def test_standard_output(serve) -> None:
    server = serve("--access-logfile", "-")
    fetch(server.address, "/loud")
    eventually(lambda: DEFAULT_LINE.fullmatch(server.stdout), "one line on standard output")
    assert "/loud" not in server.stderr


def test_default_format(serve) -> None:
    fields = (("Referer", "http://from/"), ("User-Agent", "test/1"))
    match = DEFAULT_LINE.fullmatch(access(serve, encode("GET", "/hello/app?a=b%20c", *fields)))
    assert match
    assert match.groups() == ("GET /hello/app?a=b%20c HTTP/1.1", "200", "6", "http://from/", "test/1")


def test_default_format_without_fields(serve) -> None:
    match = DEFAULT_LINE.fullmatch(access(serve, b"GET /heads/not_found HTTP/1.0\r\n\r\n"))
    assert match
    assert match.groups() == ("GET /heads/not_found HTTP/1.0", "404", "4", "-", "-")


ATOMS = {
    "h": r"127\.0\.0\.1",
    "l": "-",
    "u": "someone",
    "r": r"POST /bodies/echo\?q=1 HTTP/1\.1",
    "m": "POST",
    "U": "/bodies/echo",
    "q": "q=1",
    "H": r"HTTP/1\.1",
    "s": "200",
    "b": "4",
    "B": "4",
    "f": "-",
    "a": "-",
    "T": "0",
    "D": r"\d+",
    "M": r"\d+",
    "L": r"0\.\d{6}",
    "p": r"<\d+>",
    "{x-asked}i": "yes",
    "{X-ASKED}i": "yes",
    "{x-not-asked}i": "-",
    "{content-type}o": "application/octet-stream",
    "{x-none}o": "-",
    "{server_protocol}e": r"HTTP/1\.1",
    "{nothing}e": "-",
}


@pytest.fixture(scope="module")
def logged(module_serve) -> dict[str, str]:
    """What every atom became, from one request and one long format."""
    layout = "|".join(f"%({atom})s" for atom in ATOMS).replace("{", "{{").replace("}", "}}")
    fields = (("X-Asked", "yes"), ("Authorization", "Basic c29tZW9uZTpzZWNyZXQ="))
    request = encode("POST", "/bodies/echo?q=1", *fields, body=b"body")
    line = access(module_serve, request, "--access-logformat", layout)
    return dict(zip(ATOMS, line.rstrip("\n").split("|"), strict=True))


@pytest.mark.parametrize("atom", ATOMS)
def test_atom(logged: dict[str, str], atom: str) -> None:
    assert re.fullmatch(ATOMS[atom], logged[atom])


def test_quotes_are_escaped(serve) -> None:
    line = access(serve, encode("GET", "/hello/app", ("User-Agent", 'a "quoted" agent')))
    assert line.endswith('"a \\"quoted\\" agent"\n')


def test_one_line_per_request(serve) -> None:
    server = serve("--access-logfile", "{home}/access")
    for number in range(20):
        fetch(server.address, f"/{number}")
    server.stop()
    lines = (server.home / "access").read_text().splitlines(keepends=True)
    assert [DEFAULT_LINE.fullmatch(line).group(1) for line in lines] == [
        f"GET /{number} HTTP/1.1" for number in range(20)
    ]


def test_the_level_does_not_silence_the_access_log(serve) -> None:
    assert access(serve, encode("GET", "/hello/app"), "--log-level", "critical")


def test_malformed_requests_are_not_in_it(serve) -> None:
    server = serve("--access-logfile", "{home}/access")
    exchange(server.address, b"GET malformed HTTP/1.1\r\n\r\n")
    fetch(server.address, "/good")
    server.stop()
    assert (server.home / "access").read_text().count("\n") == 1


def test_errors_are_in_it(serve) -> None:
    assert '"GET /misuse/raises HTTP/1.1" 500 ' in access(serve, encode("GET", "/misuse/raises"))


@pytest.mark.better("The access log's line of a request that failed has its agent and duration.")
def test_errors_keep_their_agent(serve) -> None:
    line = access(serve, encode("GET", "/misuse/raises", ("User-Agent", "test/1")))
    assert line.endswith('"test/1"\n')


@pytest.mark.better("The access log counts the bytes of a file that is sent by sendfile.")
def test_bytes_of_a_file(serve) -> None:
    assert '" 200 100000 "' in access(serve, encode("GET", "/iterables/file_with_length"))


def test_unix_peer(serve) -> None:
    server = serve("--access-logfile", "{home}/access", bind="unix")
    fetch(server.address)
    line = eventually((server.home / "access").read_text, "a line in the access log")
    assert '"GET / HTTP/1.1" 200 6' in line


def test_pid_of_the_line(serve) -> None:
    server = serve("--access-logfile", "-", "--access-logformat", "%(p)s")
    (worker,) = server.wait_workers(1)
    fetch(server.address)
    eventually(lambda: server.stdout == f"<{worker}>\n", "the worker's pid")
    assert os.path.exists(f"/proc/{worker}")
