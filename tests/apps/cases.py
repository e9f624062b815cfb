"""Serves every application of this directory by path: /module/callable, plus /journal.

Owns the journal: what an application notes here while it runs, a test reads (and empties) by GET /journal.
Must never touch the environ or start_response it hands on. Read next: iterables.py, misuse.py, bodies.py.
"""

import importlib
import json

JOURNAL = []


def note(*words):
    JOURNAL.append(" ".join(str(word) for word in words))


def journal(environ, start_response):
    body = json.dumps(JOURNAL).encode()
    JOURNAL.clear()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def app(environ, start_response):
    module, _, name = environ["PATH_INFO"].strip("/").partition("/")
    if module == "journal":
        return journal(environ, start_response)
    case = getattr(importlib.import_module(module), name.partition("/")[0])
    return case(environ, start_response)
