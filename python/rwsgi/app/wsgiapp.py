"""`WSGIApplication`: the `rwsgi` command as a class.

Owns how the command finds its application: the setting `paste`, the first word, or the setting `wsgi_app`.
Must never import the application before it is to be loaded.
Read next: base.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from rwsgi import _rwsgi
from rwsgi.app.base import Application
from rwsgi.errors import ConfigError


class WSGIApplication(Application):
    app_uri: str | None = None

    def init(self, parser: Any, opts: Any, args: Sequence[str]) -> Mapping[str, Any] | None:
        # With --paste the words are none of an application's.
        self.app_uri = args[0] if args and opts.paste is None else None
        if self.app_uri is not None:
            self.cfg.set("default_proc_name", self.app_uri)
        return None

    def load_config(self) -> None:
        super().load_config()
        if self.app_uri is None:
            self.app_uri = self.cfg.paste or self.cfg.wsgi_app
        # A class with a `load` of its own needs no name to find the application by.
        if self.app_uri is None and type(self).load is WSGIApplication.load:
            raise ConfigError("No application module specified.")

    def load_wsgiapp(self) -> Callable[..., Any]:
        return _rwsgi.import_app(self.app_uri or "")

    def load_pasteapp(self) -> Callable[..., Any]:
        return self.cfg.draft.load_app()

    def load(self) -> Callable[..., Any]:
        return self.load_pasteapp() if self.app_uri == self.cfg.paste else self.load_wsgiapp()


def run(prog: str | None = None) -> NoReturn:
    """The command, with `sys.argv` as its arguments."""
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog=prog).run()


if __name__ == "__main__":
    run()
