"""Ends its own process in the way the path says; `GET /signal?11` is a segfault."""

import ctypes
import os
import subprocess
import sys

from hello import app as hello


def segfault(_value):
    ctypes.string_at(0)


def abort(_value):
    os.abort()


def signal(value):
    os.kill(os.getpid(), int(value))


def exit(value):
    os._exit(int(value))


def exhaust_stack(_value):
    """Recursion in C, beneath the interpreter's own limit (which newer ones have in C too)."""
    sys.setrecursionlimit(10**9)
    nested = []
    for _ in range(10**6):
        nested = [nested]
    repr(nested)


def stray(value):
    """Leaves a process behind that is nobody's child and ends with this status."""
    subprocess.run(["sh", "-c", f"(sleep 0.1; exit {value}) &"], check=True)


WAYS = {f"/{way.__name__}": way for way in (segfault, abort, signal, exit, exhaust_stack, stray)}


def app(environ, start_response):
    if way := WAYS.get(environ["PATH_INFO"]):
        way(environ["QUERY_STRING"])
    return hello(environ, start_response)
