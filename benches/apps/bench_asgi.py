"""The ASGI applications of the loads in ../loads.py.

A function is one load. Must do nothing that a load does not name: its cost would be every server's.
"""

import json as encoder

CHUNK = b"x" * 4096


async def respond(send, body, kind=b"text/plain"):
    fields = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def hello(scope, receive, send):
    assert scope["type"] == "http"
    await respond(send, b"Hello, World!")


async def json(scope, receive, send):
    assert scope["type"] == "http"
    body = encoder.dumps({"message": "Hello, World!"}).encode()
    await respond(send, body, b"application/json")


async def stream(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(64):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def upload(scope, receive, send):
    assert scope["type"] == "http"
    received, more = 0, True
    while more:
        message = await receive()
        received += len(message["body"])
        more = message["more_body"]
    await respond(send, b"%d" % received)


async def echo(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
