"""Things a worker must not share with its siblings are made after the fork."""

import os
import random
import uuid

preload_app = True
workers = 2


def post_fork(server, worker):
    random.seed(os.urandom(16))
    os.environ["WORKER_ID"] = f"{worker.age}-{uuid.uuid4().hex}"
