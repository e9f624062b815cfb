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
    """Keeps its objects for `uses`."""
    KEPT.update(input=environ["wsgi.input"], start=start_response)
    return answer(start_response, "kept")


def uses(environ, start_response):
    """What becomes of objects of another request."""
    said = []
    for call in (KEPT["input"].read, lambda: KEPT["start"]("500 No", [])):
        try:
            said.append(repr(call()))
        except RuntimeError as error:
            said.append(str(error))
    return answer(start_response, "; ".join(said) + f"; {environ['wsgi.input'].read()!r}")


def echo(environ, start_response):
    return answer(start_response, environ["PATH_INFO"] + " " + environ["wsgi.input"].read().decode())


def flags(environ, start_response):
    return answer(start_response, f"{environ['wsgi.multithread']} {parse_qs(environ['QUERY_STRING'])}")


def leaves(environ, start_response):
    raise SystemExit(7)
