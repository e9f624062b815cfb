"""`use = egg:rwsgi#main` in a PasteDeploy file: the server that `pserve` starts.

Owns the hand-over of the application and of the section's settings, and the way the process ends.
Must never read the file: PasteDeploy has, and the server itself looks up what else it needs.
Read next: src/config/ini.rs, what the section means; src/py/paste.rs, for the other direction.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Any, NoReturn

from rwsgi import _rwsgi


def serve(app: Any, global_conf: dict[str, str], **local_conf: Any) -> NoReturn:
    """A `paste.server_runner`: serves `app` with the settings in `local_conf`. The process ends with it."""
    section = [(name, str(value)) for name, value in local_conf.items() if value is not None]
    _leave(_rwsgi.serve(app, global_conf["__file__"], section))


def _leave(status: int) -> NoReturn:
    """Ends the process as the interpreter does.

    `sys.exit` would not get far: pserve takes it for a message to print, in every worker, and ends with 0.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status)
