"""A start without its variables is refused at once."""

import os
import sys

REQUIRED = ["DATABASE_URL", "SECRET_KEY"]


def on_starting(server):
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    if missing:
        server.log.error("Missing variables: %s", ", ".join(missing))
        sys.exit(1)
    server.log.info("All %d variables are set", len(REQUIRED))
