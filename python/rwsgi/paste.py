"""`use = egg:rwsgi#main` in a PasteDeploy file: the server that `pserve` starts.

Owns the hand-over of the application and of the section's settings.
Must never read the file: PasteDeploy has, and the server itself looks up what else it needs.
Read next: src/config/ini.rs, what the section means; src/py/paste.rs, for the other direction.
"""

from __future__ import annotations

from typing import Any, NoReturn

from rwsgi import _rwsgi


def serve(app: Any, global_conf: dict[str, str], **local_conf: Any) -> NoReturn:
    """A `paste.server_runner`: serves `app` with the settings in `local_conf`. The process ends with it."""
    section = [(name, str(value)) for name, value in local_conf.items() if value is not None]
    _rwsgi.serve_section(app, global_conf["__file__"], section)
