"""Starlette, and Django by ASGI, served for real, by clients of other projects."""

from pathlib import Path

import httpx
import pytest
from server import HERE, Running, eventually
from websockets.sync.client import connect

EXAMPLES = HERE.parent / "examples"
STARLETTE = """
import contextlib

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

DONE = []


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"name": "shop"}


async def home(request):
    return JSONResponse({"hello": request.query_params.get("name"), "state": request.state.name})


async def upload(request):
    size = sum([len(block) async for block in request.stream()])
    return JSONResponse({"size": size}, background=BackgroundTask(DONE.append, size))


async def done(request):
    return JSONResponse(DONE)


async def stream(request):
    async def lines():
        for number in range(10):
            yield b"line %d\\n" % number

    return StreamingResponse(lines())


async def broken(request):
    raise ValueError("on purpose")


async def echo(websocket):
    await websocket.accept(subprotocol="echo")
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())


class Marked(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["X-Marked"] = "yes"
        return response


routes = [Route("/", home), Route("/upload", upload, methods=["POST"]), Route("/stream", stream)]
routes += [Route("/broken", broken), Route("/done", done), WebSocketRoute("/echo", echo)]
app = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Marked)])
"""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def site(request: pytest.FixtureRequest, module_serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    home = tmp_path_factory.mktemp("starlette")
    (home / "shop.py").write_text(STARLETTE)
    return module_serve("--asgi-loop", request.param, "-k", "asgi", app="shop:app", cwd=home)


@pytest.fixture(scope="module")
def client(site: Running):
    host, port = site.address
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=10) as client:
        yield client


def test_json_and_state(client: httpx.Client) -> None:
    response = client.get("/", params={"name": "caf\xe9"})
    assert (response.status_code, response.headers["X-Marked"]) == (200, "yes")
    assert response.json() == {"hello": "caf\xe9", "state": "shop"}


@pytest.mark.parametrize("size", [0, 1000, 5_000_000])
def test_upload_and_background_task(client: httpx.Client, size: int) -> None:
    assert client.post("/upload", content=b"x" * size).json() == {"size": size}
    eventually(lambda: size in client.get("/done").json(), "the task has run")


def test_chunked_upload(client: httpx.Client) -> None:
    blocks = (b"x" * 10_000 for _ in range(20))
    assert client.post("/upload", content=blocks).json() == {"size": 200_000}


def test_stream(client: httpx.Client) -> None:
    with client.stream("GET", "/stream") as response:
        assert b"".join(response.iter_bytes()) == b"".join(b"line %d\n" % number for number in range(10))


def test_an_error_and_a_missing_page(client: httpx.Client) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/broken").status_code == 500
    assert client.get("/").status_code == 200


def test_websocket(site: Running) -> None:
    host, port = site.address
    with connect(f"ws://{host}:{port}/echo", subprotocols=["echo"]) as client:
        for text in ("one", "caf\xe9" * 1000):
            client.send(text)
            assert client.recv(timeout=10) == text.upper()


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
