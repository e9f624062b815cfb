"""Every hook says something to the server's log, as the example in guides does."""


def on_starting(server):
    server.log.info("Starting with %d workers", server.cfg.workers)


def when_ready(server):
    server.log.info("Server is ready. Spawning workers")


def pre_fork(server, worker):
    server.log.debug("About to fork")


def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)


def post_worker_init(worker):
    worker.log.warning("Worker %(pid)s initialized", {"pid": worker.pid})


def pre_request(worker, req):
    worker.log.info("%s %s", req.method, req.path)


def post_request(worker, req, environ, resp):
    worker.log.info("%s %s -> %s", req.method, req.path, resp.status_code)


def worker_exit(server, worker):
    try:
        raise ValueError("nothing left")
    except ValueError:
        worker.log.exception("Leaving")


def child_exit(server, worker):
    server.log.error("Worker %s is gone", worker.pid)


def on_exit(server):
    server.log.critical("Good bye")
