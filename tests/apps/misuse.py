"""Applications that break PEP 3333 or raise, one misbehaviour each."""

import sys

from cases import note

PLAIN = [("Content-Type", "text/plain")]


def silent(environ, start_response):
    """Never calls start_response."""
    return [b"body"]


def silent_and_empty(environ, start_response):
    return []


def none(environ, start_response):
    start_response("200 OK", PLAIN)


def number(environ, start_response):
    start_response("200 OK", PLAIN)
    return 7


def text(environ, start_response):
    start_response("200 OK", PLAIN)
    return ["text"]


def text_second(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"bytes first"
    yield "then text"


def too_short(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
    return [b"short"]


def too_long(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
    return [b"four", b"too many"]


def too_long_in_one(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
    return [b"four and too many"]


def raises(environ, start_response):
    raise RuntimeError("before start_response")


def raises_after_start(environ, start_response):
    start_response("200 OK", [*PLAIN, ("X-Lost", "1")])
    raise RuntimeError("after start_response")


def raises_in_first(environ, start_response):
    start_response("200 OK", PLAIN)
    raise RuntimeError("before the first block")
    yield b""


def raises_after_block(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"a block"
    raise RuntimeError("after a block")


def raises_after_write(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "20")])(b"written")
    raise RuntimeError("after write")


def exits(environ, start_response):
    sys.exit(0)


def interrupts(environ, start_response):
    raise KeyboardInterrupt


def keeps_write(environ, start_response):
    """write() with something that is not bytes."""
    send = start_response("200 OK", PLAIN)
    try:
        send("text")
    except TypeError:
        note("TypeError")
    return [b"body"]


def unprintable(environ, start_response):
    class Unprintable(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    raise Unprintable


def hints_that_inject(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</a>\r\nX-Injected: 1")])
    start_response("200 OK", PLAIN)
    return [b"body"]


def body_of_204(environ, start_response):
    start_response("204 No Content", [])
    return [b"body"]


def reads_in_vain(environ, start_response):
    """Reads a body that is cut off or too large, and says what that raised."""
    note("called")
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        note(f"OSError: {error}")
        raise
    start_response("200 OK", PLAIN)
    return [b"read"]
