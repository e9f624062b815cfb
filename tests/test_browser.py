"""A page in a real browser, which talks to its server by a WebSocket: apps/page.html.

Skipped where there is no Chromium: Debian's package is called chromium.
"""

import signal
from collections.abc import Iterator

import pytest
from browser import Page, browsing
from client import fetch
from server import Running, eventually

ECHOES = ["text caf\xe9", "bytes 0,128,255", "text of 100000", "bytes of 1000000"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def site(page: Page, module_serve, request: pytest.FixtureRequest) -> Running:
    return module_serve("-k", "asgi", "--asgi-loop", request.param, app="asgi_cases:app")


def visit(page: Page, server: Running) -> None:
    """Until the page has heard every echo."""
    host, port = server.address
    page.visit(f"http://{host}:{port}/page")
    eventually(lambda: page.text("#heard").splitlines() == ECHOES, "the echoes are shown")
    assert page.text("#state") == "open, echo"


def wait_state(page: Page, text: str) -> None:
    eventually(lambda: page.text("#state") == text, f"the page shows: {text}")


def wait_journal(server: Running, text: bytes) -> None:
    eventually(lambda: text in fetch(server.address, "/journal").body, "the application is told")


def test_text_and_bytes_come_back(page: Page, site: Running) -> None:
    visit(page, site)
    page.run("socket.send('once more')")
    eventually(lambda: page.text("#heard").splitlines() == [*ECHOES, "text once more"], "one more is shown")
    # The browser has offered to compress.
    assert page.run("socket.extensions") == ""


def test_the_application_closes(page: Page, site: Running) -> None:
    visit(page, site)
    page.run("socket.send('close')")
    wait_state(page, "closed, 4001 as asked, clean")


def test_the_page_closes(page: Page, site: Running) -> None:
    visit(page, site)
    page.run("socket.close(3999, 'bye')")
    wait_state(page, "closed, 3999 bye, clean")
    wait_journal(site, b"disconnect 3999 bye")


def test_the_page_is_left(page: Page, site: Running) -> None:
    visit(page, site)
    page.visit("about:blank")
    wait_journal(site, b"disconnect 1001 ")


def test_the_server_stops(page: Page, serve) -> None:
    server = serve("-k", "asgi", app="asgi_cases:app")
    visit(page, server)
    server.send(signal.SIGTERM)
    wait_state(page, "closed, 1012 , clean")
    assert server.wait_exit() == 0
