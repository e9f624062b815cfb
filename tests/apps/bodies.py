"""Applications that read the request body, one way each, and report what they got."""

import hashlib
import json
import sys
from wsgiref.validate import validator


def reply(start_response, value):
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def text(data):
    return data.decode("latin-1")


def reader(way):
    """An application answering with what `way(wsgi.input)` returns."""

    def case(environ, start_response):
        return reply(start_response, way(environ["wsgi.input"]))

    return case


def until_empty(call):
    pieces = []
    while piece := call():
        pieces.append(text(piece))
    return pieces


read = reader(lambda body: [text(body.read())])
read_none = reader(lambda body: [text(body.read(None))])
read_negative = reader(lambda body: [text(body.read(-1))])
read_zero = reader(lambda body: [text(body.read(0)), text(body.read())])
read_sized = reader(lambda body: until_empty(lambda: body.read(4)))
read_past_end = reader(lambda body: [text(body.read(10_000)), text(body.read(10)), text(body.read())])
readline = reader(lambda body: until_empty(body.readline))
readline_sized = reader(lambda body: until_empty(lambda: body.readline(3)))
readlines = reader(lambda body: [text(line) for line in body.readlines()])
readlines_hint = reader(lambda body: [text(line) for line in body.readlines(1)])
iterated = reader(lambda body: [text(line) for line in body])
mixed = reader(
    lambda body: [text(body.readline()), text(body.read(2)), text(body.readline()), text(body.read())]
)
unread = reader(lambda body: "unread")


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response(
        "200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))]
    )
    return [body]


def error(environ, start_response):
    """The name of the exception that reading raised, or how much was read."""
    try:
        value = len(environ["wsgi.input"].read())
    except Exception as error:
        value = type(error).__mro__[-4].__name__ if isinstance(error, OSError) else type(error).__name__
    return reply(start_response, value)


def digest(environ, start_response):
    """Streams the body: its length, its SHA-256, and how much memory this worker ever had resident (KiB)."""
    total, sha = 0, hashlib.sha256()
    while block := environ["wsgi.input"].read(65536):
        total += len(block)
        sha.update(block)
    with open("/proc/self/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    return reply(start_response, {"length": total, "sha256": sha.hexdigest(), "peak": int(peak)})


def errors_stream(environ, start_response):
    stream = environ["wsgi.errors"]
    stream.write("written to wsgi.errors\n")
    stream.writelines(["line one\n", "line two\n"])
    stream.flush()
    return reply(start_response, "done")


def to_stderr(environ, start_response):
    print("printed to stderr", file=sys.stderr, flush=True)
    return reply(start_response, "done")


def describe(environ, start_response):
    """The environ as JSON: strings as they are, everything else by type."""
    plain = {
        key: value if isinstance(value, str | bool) else repr(type(value)) for key, value in environ.items()
    }
    plain["wsgi.version"] = list(environ["wsgi.version"])
    plain["exact dict"] = type(environ) is dict
    return reply(start_response, plain)


def early_hints(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    return reply(start_response, "done")


@validator
def validated(environ, start_response):
    """wsgiref's validator checks both sides of the call."""
    environ["wsgi.input"].read(100)
    environ["wsgi.errors"].write("")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"valid"]


@validator
def validated_write(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])(b"valid")
    return []


def _generate():
    yield b"va"
    yield b"lid"


@validator
def validated_generator(environ, start_response):
    for line in environ["wsgi.input"]:
        environ["wsgi.errors"].write(line.decode()[:0])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _generate()


@validator
def validated_empty(environ, start_response):
    environ["wsgi.input"].readlines(10)
    environ["wsgi.input"].readline()
    start_response("204 No Content", [])
    return []


def streamed(environ, start_response):
    """Reads a body that is longer than what the server takes ahead, and says when it begins."""
    environ["wsgi.errors"].write("reading\n")
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(length).encode()]


def endless_blocks(environ, start_response):
    """Makes more than any buffer holds, and says when it begins."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    environ["wsgi.errors"].write("writing\n")
    for _ in range(512):
        yield b"x" * 65536
