"""The application class behind `rwsgi.run`.

Owns what it is given and refuses what cannot work.
Must never import the application before it is to be loaded.
Read next: base.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rwsgi import _rwsgi
from rwsgi.app.base import BaseApplication
from rwsgi.errors import ConfigError


class SimpleApplication(BaseApplication):
    def __init__(self, app: Callable[..., Any] | str, settings: Mapping[str, Any]) -> None:
        self.app_uri = app if isinstance(app, str) else None
        self.given = app
        self.options = settings
        super().__init__()

    def load_config(self) -> None:
        if self.app_uri is not None:
            self.cfg.set("default_proc_name", self.app_uri)
        elif not callable(self.given):
            kind = type(self.given).__name__
            raise ConfigError(f"rwsgi.run() needs a WSGI application or its name ('module:app'), not {kind}")
        for name, value in self.options.items():
            self.cfg.set(name, value)
        if self.app_uri is None and self.cfg.reload:
            reason = "new code cannot reach an application that is there already"
            raise ConfigError(f"rwsgi.run(reload=True) needs the application's name ('module:app'): {reason}")

    def load(self) -> Callable[..., Any]:
        return self.given if callable(self.given) else _rwsgi.import_app(self.given)
