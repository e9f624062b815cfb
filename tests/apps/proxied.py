"""The same answers by WSGI (`app`) and by ASGI (`asgi`), for what a proxy makes of requests and responses.

Owns a response whose second block waits for a file, and one without an end, which tells when it was given up.
Must never answer differently by one of the two. Read next: ../test_behind_nginx.py.
"""

import asyncio
import json
import os
import sys
import time

from asgi_cases import lifespan, respond, whole_body, ws_echo

BLOCK = b"x" * 65536


def shown(scheme, client):
    return json.dumps({"scheme": scheme, "client": client}).encode()


def gated(path):
    yield b"one"
    while not os.path.exists(path):
        time.sleep(0.01)  # between two looks
    yield b"two"


def endless():
    try:
        while True:
            yield BLOCK
    finally:
        print("given up", file=sys.stderr, flush=True)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    match environ["PATH_INFO"]:
        case "/echo":
            return [environ["wsgi.input"].read()]
        case "/shown":
            return [shown(environ["wsgi.url_scheme"], environ["REMOTE_ADDR"])]
        case "/gated":
            return gated(environ["QUERY_STRING"])
        case "/endless":
            return endless()
        case _:
            return [b"hello\n"]


async def asgi_gated(path, block):
    await block(b"one")
    while not os.path.exists(path):
        await asyncio.sleep(0.01)
    await block(b"two")


async def asgi_endless(block):
    try:
        while True:
            await block(BLOCK)
    finally:
        print("given up", file=sys.stderr, flush=True)


async def stream(scope, send):
    async def block(data):
        await send({"type": "http.response.body", "body": data, "more_body": True})

    await send({"type": "http.response.start", "status": 200})
    if scope["path"] == "/gated":
        await asgi_gated(scope["query_string"], block)
    else:
        await asgi_endless(block)
    await send({"type": "http.response.body"})


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    if scope["type"] == "websocket":
        return await ws_echo(scope, receive, send)
    match scope["path"]:
        case "/echo":
            await respond(send, await whole_body(receive))
        case "/shown":
            await respond(send, shown(scope["scheme"], scope["client"][0]))
        case "/gated" | "/endless":
            await stream(scope, send)
        case _:
            await respond(send, b"hello\n")
