"""One site in four ASGI frameworks (sites/), and Django by ASGI, with clients of other projects.

Owns what the site promises, whichever framework it is written in. Read next: sites/starlette_site.py.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from server import HERE, Running, eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

EXAMPLES = HERE.parent / "examples"
SITES = HERE / "frameworks" / "sites"
LINES = b"".join(b"line %d\n" % number for number in range(10))


@pytest.fixture(
    scope="module",
    params=["starlette uvloop", "starlette asyncio", "fastapi uvloop", "quart asyncio", "litestar uvloop"],
)
def site(request: pytest.FixtureRequest, module_serve) -> Iterator[Running]:
    framework, loop = request.param.split()
    server = module_serve("-k", "asgi", "--asgi-loop", loop, app=f"{framework}_site:app", cwd=SITES)
    yield server
    assert server.stop() == 0
    assert "the shop has closed" in server.stderr


@pytest.fixture(scope="module")
def client(site: Running) -> Iterator[httpx.Client]:
    host, port = site.address
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=10) as client:
        yield client


def opened(site: Running, path: str, **options: object) -> ClientConnection:
    host, port = site.address
    return connect(f"ws://{host}:{port}{path}", **options)


def test_json_and_state(client: httpx.Client) -> None:
    response = client.get("/", params={"name": "caf\xe9"})
    assert (response.status_code, response.headers["X-Marked"]) == (200, "yes")
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json() == {"hello": "caf\xe9", "state": "shop"}


def test_path_parameters(client: httpx.Client) -> None:
    assert client.get("/items/17").json() == {"item": 17}
    assert client.get("/items/none").status_code in (400, 404, 422)


@pytest.mark.parametrize("size", [0, 1000, 5_000_000])
def test_upload_and_background_task(client: httpx.Client, size: int) -> None:
    assert client.post("/upload", content=b"x" * size).json() == {"size": size}
    eventually(lambda: size in client.get("/done").json(), "the task has run")


def test_chunked_upload(client: httpx.Client) -> None:
    blocks = (b"x" * 10_000 for _ in range(20))
    assert client.post("/upload", content=blocks).json() == {"size": 200_000}


def test_a_form_with_a_file(client: httpx.Client) -> None:
    files = {"file": ("caf\xe9.bin", b"x" * 300_000)}
    assert client.post("/form", files=files).json() == {"name": "caf\xe9.bin", "size": 300_000}


def test_stream(client: httpx.Client) -> None:
    with client.stream("GET", "/stream") as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert b"".join(response.iter_bytes()) == LINES


def test_an_error_and_a_missing_page(client: httpx.Client) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/broken").status_code == 500
    assert client.get("/", params={"name": "x"}).status_code == 200


def test_websocket_with_a_subprotocol(site: Running) -> None:
    with opened(site, "/echo", subprotocols=["other", "echo"]) as socket:
        assert socket.subprotocol == "echo"
        for text in ("one", "caf\xe9" * 1000):
            socket.send(text)
            assert socket.recv(timeout=10) == text.upper()


def test_websocket_of_json(site: Running) -> None:
    with opened(site, "/double") as socket:
        for number in range(20):
            socket.send(json.dumps({"number": number}))
            assert json.loads(socket.recv(timeout=10)) == {"twice": 2 * number}


def test_websocket_that_the_application_closes(site: Running) -> None:
    with opened(site, "/leave") as socket, pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=10)
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "as asked")


def test_websocket_to_nowhere(site: Running) -> None:
    with pytest.raises(InvalidStatus) as caught:
        opened(site, "/nowhere")
    assert caught.value.response.status_code in (403, 404)


def test_django_by_asgi(serve, tmp_path: Path) -> None:
    (tmp_path / "by_asgi.py").write_text(
        "import django_app\nfrom django.core.asgi import get_asgi_application\n"
        "application = get_asgi_application()\n"
    )
    server = serve(app="by_asgi", cwd=tmp_path, env={"PYTHONPATH": str(EXAMPLES)})
    server.wait_log("it is served by the worker class asgi")
    host, port = server.address
    response = httpx.get(f"http://{host}:{port}/", params={"name": "x"}, timeout=10)
    assert (response.status_code, response.json()) == (200, {"hello": "x"})
