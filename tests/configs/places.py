"""Paths that start from the file itself, and variables for the application."""

import os
from pathlib import Path

here = Path(__file__).resolve().parent
chdir = str(here.parent / "apps")
pythonpath = str(here)
pidfile = os.path.join(os.environ["RUN_DIR"], "app.pid")
errorlog = os.path.join(os.environ["RUN_DIR"], "error.log")
accesslog = os.path.join(os.environ["RUN_DIR"], "access.log")
umask = 0o27
raw_env = ["GREETING=hello", f"CONFIG_DIR={here}"]
proc_name = "shop"
