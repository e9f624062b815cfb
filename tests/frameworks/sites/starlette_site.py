"""The site of ../test_asgi_frameworks.py, in Starlette."""

import contextlib
import sys

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
    print("the shop has closed", file=sys.stderr)


async def home(request):
    return JSONResponse({"hello": request.query_params["name"], "state": request.state.name})


async def item(request):
    return JSONResponse({"item": request.path_params["number"]})


async def upload(request):
    size = sum([len(block) async for block in request.stream()])
    return JSONResponse({"size": size}, background=BackgroundTask(DONE.append, size))


async def form(request):
    async with request.form() as fields:
        file = fields["file"]
        return JSONResponse({"name": file.filename, "size": len(await file.read())})


async def done(request):
    return JSONResponse(DONE)


async def stream(request):
    async def lines():
        for number in range(10):
            yield b"line %d\n" % number

    return StreamingResponse(lines())


async def broken(request):
    raise ValueError("on purpose")


async def echo(websocket):
    await websocket.accept(subprotocol="echo")
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())


async def double(websocket):
    await websocket.accept()
    async for message in websocket.iter_json():
        await websocket.send_json({"twice": message["number"] * 2})


async def leave(websocket):
    await websocket.accept()
    await websocket.close(4001, "as asked")


class Marked(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["X-Marked"] = "yes"
        return response


app = Starlette(
    routes=[
        Route("/", home),
        Route("/items/{number:int}", item),
        Route("/upload", upload, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/done", done),
        Route("/stream", stream),
        Route("/broken", broken),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/double", double),
        WebSocketRoute("/leave", leave),
    ],
    lifespan=lifespan,
    middleware=[Middleware(Marked)],
)
