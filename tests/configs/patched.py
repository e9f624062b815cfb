"""Green threads are put under everything before anything else is imported."""

from gevent import monkey

monkey.patch_all()

import threading  # noqa: E402  # as such files have it

workers = 1
raw_env = ["PATCHED=" + ("yes" if monkey.is_module_patched("threading") else "no")]


def post_fork(server, worker):
    worker.log.info("patched in %s", threading.current_thread().name)
