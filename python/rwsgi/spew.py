"""`spew`: every line of Python is printed before it runs.

Owns the form of a line, `MODULE:NUMBER: SOURCE`. Imported in a worker that was asked for it and nowhere
else. Must never trace itself: what it calls runs for every line there is.
Read next: src/worker/boot.rs, which starts it.
"""

import linecache
import sys
import threading
from types import FrameType
from typing import Any


def trace(frame: FrameType, event: str, _argument: Any) -> Any:
    if event == "line":
        variables = frame.f_globals
        name = variables.get("__name__", "[unknown]")
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, variables)
        print(f"{name}:{frame.f_lineno}: {line.rstrip()}")
    return trace


def start() -> None:
    """Trace this thread and those that will be started."""
    threading.settrace(trace)
    sys.settrace(trace)
