"""Logs written by several workers at once, and rotated while they write."""

import re
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import fetch
from server import Running

LINE = re.compile(r'127\.0\.0\.1 - - \[[^]]+\] "GET /(\d+)/(x+) HTTP/1\.1" 200 6 "-" "-"')


def ask_many(server: Running, numbers: range, padding: int = 3000) -> None:
    def ask(number: int) -> None:
        assert fetch(server.address, f"/{number}/{'x' * padding}").status == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, numbers))


def requests_in(text: str) -> Counter[int]:
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(matches), "a torn line"
    return Counter(int(match.group(1)) for match in matches if match)


@pytest.mark.parametrize("log", ["{home}/access", "-"])
def test_lines_are_never_torn(serve, log: str) -> None:
    server = serve("-w", "8", "--access-logfile", log)
    server.wait_workers(8)
    ask_many(server, range(800))
    assert server.stop() == 0
    text = server.stdout if log == "-" else (server.home / "access").read_text()
    assert requests_in(text) == Counter(range(800))


def test_rotation_loses_nothing(serve) -> None:
    server = serve("-w", "4", "--access-logfile", "{home}/access")
    server.wait_workers(4)
    access = server.home / "access"
    rotated = []
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_many, server, range(1500), 10)
        while not asking.done():
            if access.exists() and access.stat().st_size:
                rotated.append(access.rename(server.home / f"access.{len(rotated)}"))
                server.send(signal.SIGUSR1)
        asking.result()
    assert server.stop() == 0
    assert len(rotated) > 1
    files = [*rotated, access] if access.exists() else rotated
    assert requests_in("".join(file.read_text() for file in files)) == Counter(range(1500))
