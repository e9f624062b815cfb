"""Applications that take time or end their worker; `GET /?2.5` sleeps 2.5 seconds."""

import os
import signal
import sys
import time

from hello import app as hello


def say(text):
    print(text, file=sys.stderr, flush=True)


def app(environ, start_response):
    say(f"started {environ['PATH_INFO']}")
    time.sleep(float(environ["QUERY_STRING"] or 0))
    return hello(environ, start_response)


def deaf(environ, start_response):
    """Not to be interrupted by SIGABRT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGABRT])
    return app(environ, start_response)


def stubborn(environ, start_response):
    """Does not let itself be interrupted: what a signal handler raises in it is swallowed."""
    say(f"started {environ['PATH_INFO']}")
    end = time.monotonic() + float(environ["QUERY_STRING"] or 0)
    while (left := end - time.monotonic()) > 0:
        try:
            time.sleep(left)
        except BaseException:
            continue
    return hello(environ, start_response)


def exits(environ, start_response):
    """Ends its process with the status in the query."""
    if environ["QUERY_STRING"]:
        os._exit(int(environ["QUERY_STRING"]))
    return hello(environ, start_response)


def pid(environ, start_response):
    """Answers with the process that served, and the one that imported."""
    body = f"{os.getpid()} {IMPORTED_BY}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


IMPORTED_BY = os.getpid()
