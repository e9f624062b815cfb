"""ASGI applications, by path: one behaviour each. What they note is read, and emptied, by GET /journal.

Owns the lifespan as well, which notes its beginning and its end on standard error. Must never be served by
anything but an ASGI server. Read next: ../parity/test_asgi_class.py.
"""

import asyncio
import contextvars
import json
import os
import sys
import time
from pathlib import Path

PAGE = Path(__file__).with_name("page.html")
JOURNAL = []
RELEASED = asyncio.Event()
VARIABLE = contextvars.ContextVar("VARIABLE", default="nothing")


def note(*words):
    JOURNAL.append(" ".join(str(word) for word in words))


async def respond(send, body, status=200, headers=()):
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def whole_body(receive):
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionError(message["type"])
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def hello(scope, receive, send):
    await respond(send, b"hello\n")


async def pid(scope, receive, send):
    await respond(send, str(os.getpid()).encode())


async def echo(scope, receive, send):
    await respond(send, await whole_body(receive))


async def unread(scope, receive, send):
    await respond(send, b"not read")


async def scope(scope, receive, send):
    shown = {key: value for key, value in scope.items() if key not in ("extensions", "asgi")}
    shown["headers"] = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
    shown = {key: value.decode() if isinstance(value, bytes) else value for key, value in shown.items()}
    await respond(send, json.dumps(shown | {"asgi": scope["asgi"]["version"]}).encode())


async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"stream")]})
    for number in range(5):
        await send({"type": "http.response.body", "body": b"block %d\n" % number, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})


async def large(scope, receive, send):
    size = int(scope["query_string"])
    await send({"type": "http.response.start", "status": 200})
    while size:
        block = b"x" * min(size, 100_000)
        size -= len(block)
        await send({"type": "http.response.body", "body": block, "more_body": size > 0})


async def raises(scope, receive, send):
    raise ValueError("on purpose")


async def leaves(scope, receive, send):
    raise SystemExit(3)


async def raises_in_the_middle(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    raise ValueError("on purpose")


async def silent(scope, receive, send):
    pass


async def unfinished(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})


async def short(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"12345"})


async def long(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"1234567890"})


async def no_content(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def waits(scope, receive, send):
    note("waiting")
    await RELEASED.wait()
    RELEASED.clear()
    await respond(send, b"released")


async def reads_late(scope, receive, send):
    note("waiting")
    await RELEASED.wait()
    RELEASED.clear()
    while (message := await receive())["type"] == "http.request":
        pass
    note(message["type"])


async def release(scope, receive, send):
    RELEASED.set()
    await respond(send, b"")


async def until_gone(scope, receive, send):
    note("begun")
    await receive()
    note((await receive())["type"])
    try:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x"})
    except OSError as error:
        note("OSError", type(error).__name__)


async def sleeps(scope, receive, send):
    try:
        note("asleep")
        await asyncio.sleep(50)
    except asyncio.CancelledError:
        note("cancelled")
        raise


async def blocks(scope, receive, send):
    """Stands still before anything is awaited."""
    print("standing still", file=sys.stderr, flush=True)
    time.sleep(50)  # longer than a blocked loop is waited for


async def pours(scope, receive, send):
    """Sends for as long as there is somebody, and waits for nothing else."""
    await send({"type": "http.response.start", "status": 200})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    except OSError:
        note("nobody is there")


async def variable(scope, receive, send):
    """Answers with the context variable that it finds, and leaves one of its own."""
    found = VARIABLE.get()
    VARIABLE.set("somebody else's")
    await asyncio.sleep(0)
    await whole_body(receive)
    await respond(send, found.encode())


async def in_the_background(scope, receive, send):
    await respond(send, b"answered")
    await RELEASED.wait()
    RELEASED.clear()
    print("the background task has ended", file=sys.stderr, flush=True)


async def hinted(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
    await respond(send, b"hello\n")


async def with_trailers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "trailers": True})
    await send({"type": "http.response.body", "body": b"hello\n"})
    await send({"type": "http.response.trailers", "headers": [(b"x-digest", b"1")]})


async def wrong(scope, receive, send):
    """Messages out of order, and what each raises."""
    said = []
    for message in [
        {"type": "http.response.body", "body": b"too early"},
        {"type": "http.response.start"},
        {"type": "http.response.start", "status": "200"},
        {"type": "http.response.start", "status": 200, "headers": [("name", b"value")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"name", b"a\r\nb: c")]},
        {"type": "websocket.send", "text": "x"},
        {"type": 1},
        {},
        None,
    ]:
        try:
            await send(message)
            said.append("nothing")
        except Exception as error:
            said.append(type(error).__name__)
    await respond(send, json.dumps(said).encode())
    try:
        await send({"type": "http.response.body", "body": b"too late"})
    except RuntimeError as error:
        note(error)
    note((await receive())["type"])


async def from_another_thread(scope, receive, send):
    """Two at the same time, and one in a task of its own."""
    first = asyncio.create_task(receive())
    second = asyncio.ensure_future(receive())
    got = [await first, await asyncio.wait_for(second, 5)]
    await respond(send, json.dumps([message["body"].decode() for message in got]).encode())


async def state(scope, receive, send):
    scope["state"]["own"] = scope["state"].get("own", 0) + 1
    await respond(send, json.dumps(scope["state"]).encode())


async def lifespan(scope, receive, send):
    mode = os.environ.get("LIFESPAN", "")
    if mode == "raises":
        raise ValueError("knows no lifespan")
    await receive()
    if mode == "fails":
        return await send({"type": "lifespan.startup.failed", "message": "no database"})
    scope["state"]["began"] = True
    if "EAGER" in os.environ:
        asyncio.get_running_loop().set_task_factory(eager)
    print("lifespan startup", file=sys.stderr, flush=True)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("lifespan shutdown", file=sys.stderr, flush=True)
    await send({"type": "lifespan.shutdown.complete"})


def eager(loop, coroutine, **options):
    """asyncio's own, which does not take what uvloop gives to it in every version of Python."""
    return asyncio.Task(coroutine, loop=loop, **options | {"eager_start": True})


async def journal(scope, receive, send):
    body = json.dumps(JOURNAL).encode()
    JOURNAL.clear()
    await respond(send, body)


async def page(scope, receive, send):
    """One that opens a WebSocket to ws_echo."""
    await respond(send, PAGE.read_bytes(), headers=[(b"content-type", b"text/html; charset=utf-8")])


async def ws_echo(scope, receive, send):
    assert await receive() == {"type": "websocket.connect"}
    offered = scope["subprotocols"]
    headers = [(b"x-own", b"1")]
    await send(
        {"type": "websocket.accept", "subprotocol": offered[-1] if offered else None, "headers": headers}
    )
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return note("disconnect", message["code"], message["reason"])
        if message.get("text") == "close":
            return await send({"type": "websocket.close", "code": 4001, "reason": "as asked"})
        if message.get("text") == "raise":
            raise ValueError("on purpose")
        if message.get("text") == "return":
            return
        await send(message | {"type": "websocket.send"})


async def ws_refuse(scope, receive, send):
    await receive()
    await send({"type": "websocket.close"})
    note((await receive())["type"])


async def ws_deny(scope, receive, send):
    await receive()
    headers = [(b"x-why", b"closed today")]
    await send({"type": "websocket.http.response.start", "status": 418, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"tea"})
    late = scope["query_string"].decode()
    if late:
        await RELEASED.wait()
        RELEASED.clear()
    note(late, (await receive())["type"])


async def ws_raise(scope, receive, send):
    raise ValueError("on purpose")


async def ws_return(scope, receive, send):
    pass


async def ws_scope(scope, receive, send):
    await send({"type": "websocket.accept"})
    shown = {key: scope[key] for key in ("type", "scheme", "path", "subprotocols", "http_version", "state")}
    await send({"type": "websocket.send", "text": json.dumps(shown | {"keys": sorted(scope)})})
    await receive()


async def ws_deaf(scope, receive, send):
    await send({"type": "websocket.accept"})
    await RELEASED.wait()


async def ws_flood(scope, receive, send):
    await send({"type": "websocket.accept"})
    for _ in range(int(scope["query_string"])):
        await send({"type": "websocket.send", "bytes": b"x" * 65536})


async def ws_wrong(scope, receive, send):
    said = []
    for message in [
        {"type": "websocket.send", "text": "too early"},
        {"type": "websocket.accept"},
        {"type": "websocket.accept"},
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": b"bytes"},
        {"type": "websocket.close", "code": 1005 + 1},
    ]:
        try:
            await send(message)
            said.append("nothing")
        except Exception as error:
            said.append(type(error).__name__)
    await send({"type": "websocket.send", "text": json.dumps(said)})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    name = scope["path"].strip("/").partition("/")[0] or "hello"
    await globals()[name](scope, receive, send)
