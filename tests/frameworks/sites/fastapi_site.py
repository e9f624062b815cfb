"""The site of ../test_asgi_frameworks.py, in FastAPI."""

import contextlib
import sys

from fastapi import BackgroundTasks, FastAPI, Request, UploadFile, WebSocket
from fastapi.responses import StreamingResponse

DONE: list[int] = []


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"name": "shop"}
    print("the shop has closed", file=sys.stderr)


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def mark(request: Request, call_next):
    response = await call_next(request)
    response.headers["X-Marked"] = "yes"
    return response


@app.get("/")
async def home(name: str, request: Request):
    return {"hello": name, "state": request.state.name}


@app.get("/items/{number}")
def item(number: int):
    """In a thread: FastAPI calls there what is no coroutine."""
    return {"item": number}


@app.post("/upload")
async def upload(request: Request, tasks: BackgroundTasks):
    size = sum([len(block) async for block in request.stream()])
    tasks.add_task(DONE.append, size)
    return {"size": size}


@app.post("/form")
async def form(file: UploadFile):
    return {"name": file.filename, "size": len(await file.read())}


@app.get("/done")
async def done():
    return DONE


@app.get("/stream")
async def stream():
    async def lines():
        for number in range(10):
            yield b"line %d\n" % number

    return StreamingResponse(lines())


@app.get("/broken")
async def broken():
    raise ValueError("on purpose")


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept(subprotocol="echo")
    async for text in websocket.iter_text():
        await websocket.send_text(text.upper())


@app.websocket("/double")
async def double(websocket: WebSocket):
    await websocket.accept()
    async for message in websocket.iter_json():
        await websocket.send_json({"twice": message["number"] * 2})


@app.websocket("/leave")
async def leave(websocket: WebSocket):
    await websocket.accept()
    await websocket.close(4001, "as asked")
