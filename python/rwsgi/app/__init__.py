"""The server inside a Python program: base.py for its own classes, wsgiapp.py for the `rwsgi` command's.

Owns nothing but the name, which is gunicorn's. Must never import anything.
Read next: base.py.
"""
