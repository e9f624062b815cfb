"""bjoern has no command of its own: `serve_bjoern.py PORT MODULE:NAME`."""

import importlib
import sys

import bjoern

module, _, name = sys.argv[2].partition(":")
bjoern.run(getattr(importlib.import_module(module), name), "127.0.0.1", int(sys.argv[1]))
