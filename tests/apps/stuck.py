"""Requests that stay in the application until a file called like their path is in the folder `RELEASES`."""

import os
import sys
import time
from pathlib import Path

RELEASES = Path(os.environ.get("RELEASES", "."))


def say(text):
    print(text, file=sys.stderr, flush=True)


def wait_for_release(environ):
    path = environ["PATH_INFO"]
    say(f"started {path}")
    while not (RELEASES / path.strip("/")).exists():
        time.sleep(0.01)  # between two looks


def app(environ, start_response):
    """`/free` answers at once; anything else waits to be released, and says what came of its response."""
    if environ["PATH_INFO"] != "/free":
        wait_for_release(environ)
    try:
        start_response("200 OK", [("Content-Length", "5")])
    except RuntimeError as error:
        say(f"refused: {error}")
        raise
    return [b"hello"]


def begun(environ, start_response):
    """Waits with a part of the response sent."""
    start_response("200 OK", [("Content-Length", "10")])
    yield b"hello"
    wait_for_release(environ)
    yield b"world"


def large(environ, start_response):
    """More than a client that does not read gets rid of; `/free` is a little."""
    start_response("200 OK", [])
    for _ in range(1 if environ["PATH_INFO"] == "/free" else 100):
        yield b"x" * 1_000_000


class Closing(list):
    """A body that is whole before its end is."""

    def __init__(self, environ):
        super().__init__([b"hello"])
        self.environ = environ

    def close(self):
        wait_for_release(self.environ)


def closing(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return Closing(environ)
