"""rwsgi: a production server for Python web applications.

Owns the package's name and version; the server itself is the extension module `rwsgi._rwsgi`.
Must never import anything heavy: every worker pays for what is imported here.
Read next: __main__.py, the entry point.
"""

from rwsgi._rwsgi import __version__

__all__ = ["__version__"]
