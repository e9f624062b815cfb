"""The site of ../test_asgi_frameworks.py, in Quart."""

import sys

from quart import Quart, jsonify, request, websocket

DONE = []
app = Quart(__name__)


@app.while_serving
async def lifespan():
    app.config["NAME"] = "shop"
    yield
    print("the shop has closed", file=sys.stderr)


@app.after_request
async def mark(response):
    response.headers["X-Marked"] = "yes"
    return response


@app.get("/")
async def home():
    return {"hello": request.args["name"], "state": app.config["NAME"]}


@app.get("/items/<int:number>")
async def item(number):
    return {"item": number}


async def finish(size):
    DONE.append(size)


@app.post("/upload")
async def upload():
    size = sum([len(block) async for block in request.body])
    app.add_background_task(finish, size)
    return {"size": size}


@app.post("/form")
async def form():
    file = (await request.files)["file"]
    return {"name": file.filename, "size": len(file.read())}


@app.get("/done")
async def done():
    return jsonify(DONE)


@app.get("/stream")
async def stream():
    async def lines():
        for number in range(10):
            yield b"line %d\n" % number

    return lines(), {"Content-Type": "text/plain"}


@app.get("/broken")
async def broken():
    raise ValueError("on purpose")


@app.websocket("/echo")
async def echo():
    await websocket.accept(subprotocol="echo")
    while True:
        await websocket.send((await websocket.receive()).upper())


@app.websocket("/double")
async def double():
    while True:
        message = await websocket.receive_json()
        await websocket.send_json({"twice": message["number"] * 2})


@app.websocket("/leave")
async def leave():
    await websocket.accept()
    await websocket.close(4001, "as asked")
