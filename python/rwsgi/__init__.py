"""rwsgi: a production server for Python web applications.

Owns the package's name and version, and `run`; the server itself is the extension module `rwsgi._rwsgi`.
Must never import anything heavy: every worker pays for what is imported here.
Read next: __main__.py, the entry point; app/base.py, for programs that serve themselves.
"""

from rwsgi._rwsgi import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["__version__", "run"]


def run(app: "Callable[..., Any] | str", /, **settings: "Any") -> None:
    """Serve a WSGI application: itself, or its name, `module:app`, which each worker imports.

    Keywords are settings (`bind=":8000", workers=2`), as in a config file. No file and no argument is read.
    Returns when the server was stopped as asked; otherwise tells the reason and raises SystemExit with the
    server's exit status. Only the process that called returns: what follows the call does not run in workers.
    """
    from rwsgi.app.simple import SimpleApplication

    application = SimpleApplication(app, settings)
    try:
        application.run()
    except SystemExit as end:
        if end.code:
            raise
