"""The plain WSGI applications of the loads in ../loads.py; every server imports them from here.

A function is one load. Must do nothing that a load does not name: its cost would be every server's.
`megabyte` is a file that ../measure.py puts into the working directory.
"""

import os
import time
from wsgiref.util import FileWrapper

MEGABYTE = 1 << 20
BODY_100K = b"x" * 102_400
CHUNK = b"x" * 4096
# About a millisecond of bytecode; the amount is fixed, so that all servers do the same work.
STEPS = 110_000


def plain(start_response, length):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(length))])


def hello(environ, start_response):
    plain(start_response, 13)
    return [b"Hello, World!"]


def body(environ, start_response):
    plain(start_response, len(BODY_100K))
    return [BODY_100K]


def generator(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(64):
        yield CHUNK


def upload(environ, start_response):
    received = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    answer = b"%d" % received
    plain(start_response, len(answer))
    return [answer]


def file(environ, start_response):
    plain(start_response, MEGABYTE)
    # PEP 3333 leaves it to the server; an application needs another way for those that lack it.
    wrapper = environ.get("wsgi.file_wrapper", FileWrapper)
    return wrapper(open("megabyte", "rb"), 65_536)


def sleep(environ, start_response):
    time.sleep(0.01)  # the load: a request that waits for a database
    return hello(environ, start_response)


def second(environ, start_response):
    time.sleep(1)  # the load: a request that waits for a slow server
    return hello(environ, start_response)


def compute(environ, start_response):
    for _ in range(STEPS):
        pass
    return hello(environ, start_response)


def crowd(environ, start_response):
    """What ../crowd.py's slow readers ask for, and what others do."""
    if environ["PATH_INFO"] != "/large":
        return hello(environ, start_response)
    body = b"x" * MEGABYTE
    plain(start_response, len(body))
    return [body]


def pid(environ, start_response):
    answer = b"%d" % os.getpid()
    plain(start_response, len(answer))
    return [answer]
