"""Tells what the process drew at random, and who it was told to be."""

import os
import random


def app(environ, start_response):
    body = f"{os.getpid()} {random.random()} {os.environ.get('WORKER_ID')}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
