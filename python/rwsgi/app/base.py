"""`BaseApplication` and `Application`: what a program subclasses to serve itself.

Owns the order in which the methods are called, which is gunicorn's.
Must never print, nor decide what a value means: `Config` and the server do.
Read next: wsgiapp.py, config.py; src/embed.rs, where `run` leads to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

from rwsgi import _rwsgi
from rwsgi.config import Config


class BaseApplication:
    """An application that sets its own configuration. Only the environment's defaults are below it."""

    cfg: Config

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        self.usage = usage
        self.prog = prog
        self.callable: Callable[..., Any] | None = None
        self.logger: Any = None
        self._serving = False
        self.do_load_config()

    def do_load_config(self) -> None:
        """Make the settings anew. What is wrong ends the program; in a running server it is raised."""
        try:
            self.load_default_config()
            self.load_config()
            self.cfg.validate()
        except Exception as error:
            if self._serving:
                raise
            sys.exit(_rwsgi.complain(error))

    def load_default_config(self) -> None:
        self.cfg = Config(self.usage, prog=self.prog)

    def init(self, parser: Any, opts: Any, args: Sequence[str]) -> Mapping[str, Any] | None:
        raise NotImplementedError("init() is for the subclass to define")

    def load(self) -> Callable[..., Any]:
        """The application. Called once in each worker, or in the master with `preload_app`."""
        raise NotImplementedError("load() is for the subclass to define")

    def load_config(self) -> None:
        """Set `self.cfg`. Called at the start, and again at each reload (HUP)."""
        raise NotImplementedError("load_config() is for the subclass to define")

    def reload(self) -> None:
        self.do_load_config()

    def wsgi(self) -> Callable[..., Any]:
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def run(self) -> NoReturn:
        """Serve until the server ends, then raise SystemExit with its exit status.

        Only the process that called gets that far. A worker ends in here, after its `atexit` callbacks.
        """
        self._serving = True
        sys.exit(_rwsgi.serve(self))


class Application(BaseApplication):
    """An application with the command line, the config file and the variables of the `rwsgi` command."""

    def load_config(self) -> None:
        usage = (self.usage or "%(prog)s [OPTIONS]") % {"prog": self.cfg.prog}
        given, words = self.cfg.draft.read_arguments(sys.argv[1:], usage)
        names = dict.fromkeys(self.cfg.settings)
        opts = SimpleNamespace(**{**names, **given}, args=words)
        for name, value in (self.init(Parser(self.cfg), opts, words) or {}).items():
            self.cfg.set(name.lower(), value)
        self.cfg.draft.lay_arguments()

    def chdir(self) -> None:
        os.chdir(self.cfg.chdir)
        if self.cfg.chdir not in sys.path:
            sys.path.insert(0, self.cfg.chdir)

    def load_config_from_module_name_or_filename(self, location: str) -> None:
        """Lay a config file over what is set: a path, `file:PATH` or `python:MODULE`."""
        self.cfg.draft.lay_file(location)

    def load_config_from_file(self, filename: str) -> None:
        self.load_config_from_module_name_or_filename(filename)


class Parser:
    """What `init` is given as the parser. The real one is made if something of it is asked for."""

    def __init__(self, cfg: Config) -> None:
        self._cfg = cfg

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cfg.parser(), name)
