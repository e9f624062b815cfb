"""A program that serves itself: `python embedded.py`, with no other command and no config file.

The class is the one gunicorn documents as its custom application; only the import differs.
"""

import sys

from rwsgi.app.base import BaseApplication


def handler_app(environ, start_response):
    body = b"Works fine\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


class StandaloneApplication(BaseApplication):
    def __init__(self, app, options=None):
        self.options = options or {}
        self.application = app
        super().__init__()

    def load_config(self):
        """Called at the start, and again when the master gets HUP."""
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self):
        """Called in each worker."""
        return self.application


if __name__ == "__main__":
    bind = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000"
    # Without a class of one's own: rwsgi.run(handler_app, bind=bind, workers=2).
    StandaloneApplication(handler_app, {"bind": bind, "workers": 2}).run()
