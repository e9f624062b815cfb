"""The site of ../test_asgi_frameworks.py, in Litestar."""

import contextlib
import sys
from typing import Annotated

from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import WebSocketDisconnect
from litestar.params import Body
from litestar.response import Stream

DONE: list[int] = []


@contextlib.asynccontextmanager
async def lifespan(app):
    app.state.name = "shop"
    yield
    print("the shop has closed", file=sys.stderr)


async def mark(response: Response) -> Response:
    response.headers["X-Marked"] = "yes"
    return response


@get("/")
async def home(name: str, state: State) -> dict[str, str]:
    return {"hello": name, "state": state.name}


@get("/items/{number:int}", sync_to_thread=True)
def item(number: int) -> dict[str, int]:
    return {"item": number}


async def finish(size: int) -> None:
    DONE.append(size)


@post("/upload", status_code=200)
async def upload(request: Request) -> Response[dict[str, int]]:
    size = sum([len(block) async for block in request.stream()])
    return Response({"size": size}, background=BackgroundTask(finish, size))


@post("/form", status_code=200)
async def form(
    data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, object]:
    return {"name": data.filename, "size": len(await data.read())}


@get("/done")
async def done() -> list[int]:
    return DONE


@get("/stream")
async def stream() -> Stream:
    async def lines():
        for number in range(10):
            yield b"line %d\n" % number

    return Stream(lines())


@get("/broken")
async def broken() -> None:
    raise ValueError("on purpose")


@websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept(subprotocols="echo")
    with contextlib.suppress(WebSocketDisconnect):
        async for text in socket.iter_data():
            await socket.send_text(text.upper())


@websocket("/double")
async def double(socket: WebSocket) -> None:
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        async for message in socket.iter_json():
            await socket.send_json({"twice": message["number"] * 2})


@websocket("/leave")
async def leave(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(4001, "as asked")


app = Litestar(
    [home, item, upload, form, done, stream, broken, echo, double, leave],
    lifespan=[lifespan],
    after_request=mark,
)
