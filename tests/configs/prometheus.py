"""Metrics of several processes in one directory; what a dead worker leaves is cleared away."""

import os
import pathlib

from prometheus_client import multiprocess

workers = 2
directory = pathlib.Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def on_starting(server):
    directory.mkdir(exist_ok=True)
    for stale in directory.glob("*.db"):
        stale.unlink()


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
