"""Counts its requests for Prometheus, and tells what it drew at random."""

import os
import random

from prometheus_client import Counter, Gauge

requests = Counter("requests", "Requests served.")
alive = Gauge("alive", "Workers alive.", multiprocess_mode="liveall")


def app(environ, start_response):
    requests.inc()
    alive.set(1)
    body = f"{os.getpid()} {random.random()}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
