"""A program that serves itself: gunicorn's documented custom application, and its relatives.

`EMBEDDED_SERVER` names the package that it imports. The options come from `options.json` in the directory
`EMBEDDED_HOME`, which each `load_config` reads again. `EMBEDDED_PROGRAM` is what is run.
"""

import importlib
import json
import os
from pathlib import Path

PACKAGE = os.environ["EMBEDDED_SERVER"]
HOME = Path(os.environ["EMBEDDED_HOME"])
base = importlib.import_module(f"{PACKAGE}.app.base")
wsgiapp = importlib.import_module(f"{PACKAGE}.app.wsgiapp")


def note(what: str) -> None:
    # One write: several processes share the file.
    os.write(1, f"{what} in {os.getpid()}\n".encode())


def handler_app(environ, start_response):
    body = f"works, timeout {environ['embedded.timeout']}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


class StandaloneApplication(base.BaseApplication):
    def __init__(self, app, options=None):
        self.options = options or {}
        self.application = app
        super().__init__()

    def load_config(self):
        options = {**self.options, **json.loads((HOME / "options.json").read_text())}
        config = {
            key: value for key, value in options.items() if key in self.cfg.settings and value is not None
        }
        for key, value in config.items():
            self.cfg.set(key.lower(), value)
        for key, value in options.get("unchecked", {}).items():
            self.cfg.set(key, value)

    def load(self):
        note("load")
        timeout = self.cfg.timeout

        def app(environ, start_response):
            environ["embedded.timeout"] = timeout
            return self.application(environ, start_response)

        return app


class Broken(StandaloneApplication):
    def load(self):
        raise ValueError("no database")


class WithoutCallable(StandaloneApplication):
    def load(self):
        return None


class WithArguments(base.Application):
    def init(self, parser, opts, args):
        note(f"init {args} {opts.workers}")
        return {"workers": 2, "timeout": 12, "backlog": 12}

    def load(self):
        return handler_app


class WithLastWord(wsgiapp.WSGIApplication):
    def load_config(self):
        super().load_config()
        self.cfg.set("timeout", 15)


def post_fork(server, worker):
    note(f"post_fork of {type(worker.app).__name__}")


OPTIONS = {"control_socket_disable": True, "post_fork": post_fork, "pidfile": str(HOME / "pid"), "unknown": 1}
PROGRAMS = {
    "standalone": lambda: StandaloneApplication(handler_app, OPTIONS),
    "broken": lambda: Broken(handler_app, OPTIONS),
    "without_callable": lambda: WithoutCallable(handler_app, OPTIONS),
    "arguments": WithArguments,
    "last_word": lambda: WithLastWord("%(prog)s [OPTIONS] [APP_MODULE]"),
}

if __name__ == "__main__":
    try:
        PROGRAMS[os.environ["EMBEDDED_PROGRAM"]]().run()
    except SystemExit as end:
        note(f"ended with {end.code}")
        raise
    finally:
        note("tidied")
