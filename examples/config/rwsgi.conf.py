"""A config file: `rwsgi -c config/rwsgi.conf.py test:app`.

A file of this name in the current directory is read without being named. It is a Python program: every global
that is named like a setting sets it. docs/settings.md lists them all.
"""

import os

bind = [f"0.0.0.0:{os.environ.get('PORT', '8000')}"]
workers = min(4, os.cpu_count() or 1)

# A worker silent for longer is killed and replaced; one told to stop may finish its request for as long.
timeout = 30
graceful_timeout = 30

# Replace each worker after about this many requests, and not all of them at once.
max_requests = 10_000
max_requests_jitter = 1_000

accesslog = "-"
errorlog = "-"
loglevel = "info"
