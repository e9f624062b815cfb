"""For workers with several threads: what runs at the same time, and objects that outlive their request."""

import threading
import time
from urllib.parse import parse_qs

KEPT = {}
INSIDE = 0
MOST = 0
LOCK = threading.Lock()


def answer(start_response, text):
    body = text.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def together(environ, start_response):
    """Sleeps; answers with the most requests that were inside at one time."""
    global INSIDE, MOST
    with LOCK:
        INSIDE += 1
        MOST = max(MOST, INSIDE)
    time.sleep(float(environ["QUERY_STRING"]))
    with LOCK:
        INSIDE -= 1
    return answer(start_response, str(MOST))


def name(environ, start_response):
    return answer(start_response, threading.current_thread().name)


def keeps(environ, start_response):
    """Keeps one of its objects for `uses`."""
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    KEPT["use"] = {
        "input": environ["wsgi.input"].read,
        "start": lambda: start_response("500 No", []),
        "write": lambda: write(b"old"),
        "hints": lambda hints=environ["wsgi.early_hints"]: hints([]),
        "environ": lambda: environ["wsgi.input"].read(),
        "nothing": lambda: None,
    }[environ["QUERY_STRING"]]
    return [b"kept"]


def uses(environ, start_response):
    """What becomes of an object of another request."""
    try:
        said = repr(KEPT["use"]())
    except RuntimeError as error:
        said = str(error)
    return answer(start_response, f"{said}; {environ['wsgi.input'].read()!r}")


def echo(environ, start_response):
    return answer(start_response, environ["PATH_INFO"] + " " + environ["wsgi.input"].read().decode())


def flags(environ, start_response):
    return answer(start_response, f"{environ['wsgi.multithread']} {parse_qs(environ['QUERY_STRING'])}")


def leaves(environ, start_response):
    raise SystemExit(7)
