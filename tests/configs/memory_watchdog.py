"""A worker that holds too much memory leaves after its request."""

import resource

LIMIT_KIB = 1


def post_request(worker, req, environ, resp):
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > LIMIT_KIB:
        worker.log.warning("Worker %s is too large", worker.pid)
        worker.alive = False
