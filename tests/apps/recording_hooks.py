"""A config file with every hook; each writes what it sees as a line of JSON to the file named by RECORD.

Owns the fields of a record. The file is opened for each line, so it does not matter which process writes.
"""

import json
import os


def write(hook: str, **seen: object) -> None:
    line = json.dumps({"hook": hook, "process": os.getpid(), **seen}) + "\n"
    descriptor = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def server_seen(server) -> dict[str, object]:
    return {
        "server_pid": server.pid,
        "listeners": [str(listener) for listener in server.LISTENERS],
        "names": [listener.getsockname() for listener in server.LISTENERS],
        "workers": {str(pid): worker.age for pid, worker in server.WORKERS.items()},
        "num_workers": server.num_workers,
        "worker_age": server.worker_age,
        "address": server.address,
        "proc_name": server.proc_name,
        "timeout": server.timeout,
        "reexec_pid": server.reexec_pid,
        "master_pid": server.master_pid,
        "pidfile_written": os.path.exists(server.cfg.pidfile or ""),
    }


def worker_seen(worker) -> dict[str, object]:
    return {
        "pid": worker.pid,
        "ppid": worker.ppid,
        "age": worker.age,
        "nr": worker.nr,
        "alive": worker.alive,
        "booted": worker.booted,
        "aborted": worker.aborted,
        "worker_timeout": worker.timeout,
        "text": str(worker),
        "loaded": callable(getattr(worker, "wsgi", None)),
        "threads": worker.cfg.threads,
    }


def on_starting(server):
    write("on_starting", **server_seen(server))


def on_reload(server):
    write("on_reload", **server_seen(server))


def when_ready(server):
    write("when_ready", **server_seen(server))


def pre_fork(server, worker):
    write("pre_fork", **server_seen(server), **worker_seen(worker))


def post_fork(server, worker):
    worker.mark = "kept"
    write("post_fork", **server_seen(server), **worker_seen(worker))


def post_worker_init(worker):
    write("post_worker_init", mark=worker.mark, **worker_seen(worker))


def worker_int(worker):
    write("worker_int", **worker_seen(worker))


def worker_abort(worker):
    write("worker_abort", **worker_seen(worker))


def pre_exec(server):
    write("pre_exec", parent=os.getppid(), **server_seen(server))


def pre_request(worker, req):
    req.mark = "kept"
    write(
        "pre_request",
        method=req.method,
        uri=req.uri,
        path=req.path,
        query=req.query,
        fragment=req.fragment,
        headers=req.headers,
        version=req.version,
        host=req.remote_addr[0],
        peer=req.peer_addr[0],
        scheme=req.scheme,
        **worker_seen(worker),
    )
    if req.path == "/refused":
        raise ValueError("refused by pre_request")
    if req.path == "/last":
        worker.alive = False


def post_request(worker, req, environ, resp):
    write(
        "post_request",
        mark=req.mark,
        path_info=environ.get("PATH_INFO"),
        has_response=resp is not None,
        status=resp and resp.status,
        headers=resp and resp.headers,
        sent=resp and resp.sent,
        length=resp and resp.response_length,
        **worker_seen(worker),
    )


def child_exit(server, worker):
    write("child_exit", **server_seen(server), pid=worker.pid, age=worker.age, aborted=worker.aborted)


def worker_exit(server, worker):
    write("worker_exit", server_pid=server.pid, **worker_seen(worker))


def nworkers_changed(server, new_value, old_value):
    write("nworkers_changed", new=new_value, old=old_value)


def on_exit(server):
    write("on_exit", workers={str(pid): 0 for pid in server.WORKERS}, server_pid=server.pid)
