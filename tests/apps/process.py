"""Answers with what the process that serves is: its pid, its master's, and its environment."""

import json
import os


def app(environ, start_response):
    facts = {"pid": os.getpid(), "master": os.getppid(), "environment": dict(os.environ)}
    body = json.dumps(facts).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
