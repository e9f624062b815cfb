"""Hooks that are set wrongly, and hooks that raise.

The second half holds what gunicorn does not survive: there a hook that raises at run time ends the service.
"""

import os
import signal
from pathlib import Path

import pytest
from client import Connection, encode, fetch
from server import Running, eventually

PARAMETERS = {
    "pre_fork": "s, w",
    "post_fork": "s, w",
    "child_exit": "s, w",
    "worker_exit": "s, w",
    "pre_request": "w, r",
    "post_request": "w, r, e, p",
    "nworkers_changed": "s, n, o",
}


def raising(hook: str) -> str:
    return f"def {hook}({PARAMETERS.get(hook, 's')}):\n    raise ValueError('no {hook}')\n"


@pytest.fixture
def configured(serve, tmp_path: Path):
    """Starts a server with this text for a config file."""

    def start(text: str, *arguments: str, **options: object) -> Running:
        (tmp_path / "conf.py").write_text(text)
        server = serve("-c", str(tmp_path / "conf.py"), *arguments, **options)
        eventually(server.workers, "there is a worker")
        return server

    return start


@pytest.fixture
def ended(run, tmp_path: Path):
    """Runs a server that does not start: exit status and everything it said."""

    def end(text: str, **env: str) -> tuple[int, str]:
        (tmp_path / "conf.py").write_text(text)
        status, out, err = run("-b", "127.0.0.1:0", "-c", str(tmp_path / "conf.py"), "hello:app", env=env)
        return status, out + err

    return end


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def on_starting(): pass", "Value must have an arity of: 1"),
        ("def post_fork(server): pass", "Value must have an arity of: 2"),
        ("def pre_fork(*args): pass", "Value must have an arity of: 2"),
        ("def pre_fork(server, worker, more=1): pass", "Value must have an arity of: 2"),
        ("def nworkers_changed(server): pass", "Value must have an arity of: 3"),
        ("def post_request(worker): pass", "Value must have an arity of: 4"),
        ("def post_request(a, b, c, d, e): pass", "Value must have an arity of: 4"),
        ("when_ready = 3", "nvalid value for when_ready"),
        ("when_ready = 'name'", "nvalid value for when_ready"),
        ("when_ready = 'os.nope'", "Can not load 'nope' from 'os'"),
        ("when_ready = 'no_such_module.hook'", "No module named 'no_such_module'"),
        ("workers = lambda: 2", "nvalid value for workers"),
    ],
)
def test_refused(ended, text: str, said: str) -> None:
    status, output = ended(text)
    assert status == 1
    assert said in output
    assert "Booting worker" not in output


@pytest.mark.parametrize("hook", ["nworkers_changed", "on_starting", "when_ready"])
def test_the_start_fails(ended, hook: str) -> None:
    status, output = ended(raising(hook))
    assert status == 1
    assert f"ValueError: no {hook}" in output
    assert "Booting worker" not in output


@pytest.mark.parametrize("hook", ["pre_fork", "post_fork", "post_worker_init"])
def test_no_worker_boots(ended, hook: str) -> None:
    status, output = ended(raising(hook))
    assert status != 0
    assert output.count(f"ValueError: no {hook}") == 1
    if hook != "pre_fork":
        assert (status, "Reason: Worker failed to boot." in output) == (3, True)


def test_the_exit_fails(configured) -> None:
    server = configured(raising("on_exit"))
    assert server.stop() == 1
    assert "ValueError: no on_exit" in server.stderr


def test_a_worker_leaves_all_the_same(configured) -> None:
    server = configured(raising("worker_exit"))
    assert server.stop() == 0
    assert "[WARNING] Exception during worker exit:" in server.stderr
    assert "ValueError: no worker_exit" in server.stderr


@pytest.mark.parametrize(
    ("hook", "number"), [("worker_int", signal.SIGINT), ("worker_abort", signal.SIGABRT)]
)
def test_a_signalled_worker_leaves_all_the_same(configured, hook: str, number: signal.Signals) -> None:
    server = configured(raising(hook))
    workers = server.wait_workers(1)
    server.wait_log("Booting worker")
    fetch(server.address)
    os.kill(workers[0], number)
    server.wait_log(f"ValueError: no {hook}")
    server.wait_workers(1, unlike=workers)
    assert fetch(server.address).status == 200


def test_the_response_is_out_before_post_request(configured) -> None:
    server = configured("def post_request(worker, req):\n    raise ValueError('late')\n")
    assert fetch(server.address).status == 200
    log = server.wait_log("Exception in post_request hook")
    assert "ValueError: late" in server.wait_log("ValueError") and "Error handling request" not in log


@pytest.mark.parametrize("parameters", ["w, r", "w, r, e", "w, r, e, p"])
def test_post_request_takes_two_to_four(configured, parameters: str) -> None:
    server = configured(f"def post_request({parameters}):\n    w.log.info('got %d', len([{parameters}]))\n")
    fetch(server.address)
    server.wait_log(f"[INFO] got {len(parameters.split(','))}")


def test_hooks_by_name(configured, tmp_path: Path) -> None:
    (tmp_path / "shop_hooks.py").write_text("def ready(server):\n    server.log.info('from a module')\n")
    server = configured("when_ready = 'shop_hooks.ready'\n", env={"PYTHONPATH": str(tmp_path)})
    server.wait_log("[INFO] from a module")


def test_callables_of_all_kinds(configured) -> None:
    server = configured(
        "import functools\n"
        "class Said:\n"
        "    def __init__(self, text): self.text = text\n"
        "    def __call__(self, server): server.log.info(self.text)\n"
        "    def method(self, server, worker): server.log.info(self.text)\n"
        "on_starting = Said('an object')\n"
        "post_fork = Said('a method').method\n"
        "when_ready = functools.partial(lambda text, server: server.log.info(text), 'a partial')\n"
    )
    for text in ("an object", "a partial", "a method"):
        server.wait_log(f"[INFO] {text}")


LOGGING = """
def when_ready(server):
    log = server.log
    log.debug("hidden")
    log.info("%s of %d", "info", 2)
    log.warning("100%")
    log.error("%(name)s", {"name": "mapped"})
    log.critical("critical")
    log.log("warning", "by name")
    log.log(40, "by number")
    try:
        1 / 0
    except ZeroDivisionError as error:
        log.exception("caught %s", "it")
        log.warning("passed", exc_info=error)
    log.error_log.info("a %s logger", "Python")
    log.access_log.info("an access %s", "line")
"""


def test_the_logs_methods(configured) -> None:
    server = configured(LOGGING, "--access-logfile", "{home}/access")
    log = server.wait_log("Python logger")
    for line in (
        "[INFO] info of 2",
        "[WARNING] 100%",
        "[ERROR] mapped",
        "[CRITICAL] critical",
        "[WARNING] by name",
        "[ERROR] by number",
        "[ERROR] caught it\nTraceback",
        "[WARNING] passed\nTraceback",
        "[INFO] a Python logger",
    ):
        assert f"{line}" in log, line
    assert log.count("ZeroDivisionError: division by zero") == 2
    assert "hidden" not in log
    assert (server.home / "access").read_text() == "an access line\n"


def test_the_configuration(configured) -> None:
    names = "workers, c.timeout, c.bind, c.address, c.env, c.certfile, c.worker_class_str, c.accesslog"
    server = configured(
        "raw_env = ['A=1']\n"
        f"def when_ready(server):\n    c = server.cfg\n    server.log.info(repr((c.{names})))\n"
        "    server.log.info('has %s', hasattr(c, 'no_such_setting'))\n"
    )
    host, port = server.address
    values = (1, 30, [f"{host}:{port}"], [(host, port)], {"A": "1"}, None, "sync", None)
    server.wait_log(f"[INFO] {values!r}")
    server.wait_log("[INFO] has False")


def test_requests_are_logged_without_a_hook(configured) -> None:
    server = configured("", "--log-level", "debug")
    fetch(server.address, "/here?now")
    server.wait_log("[DEBUG] GET /here\n")


def test_hooks_change_with_a_reload(configured, tmp_path: Path) -> None:
    server = configured("def post_fork(server, worker):\n    worker.log.info('first')\n")
    server.wait_log("[INFO] first")
    (tmp_path / "conf.py").write_text(
        "def post_fork(s, w): w.log.info('second')\ndef child_exit(s, w): s.log.info('ended %s', w)\n"
    )
    workers = server.wait_workers(1)
    server.send(signal.SIGHUP)
    server.wait_log("[INFO] second")
    server.wait_log(f"[INFO] ended <Worker {workers[0]}>")
    assert server.stderr.count("first") == 1


def test_a_thread_of_a_hook_does_not_disturb(configured) -> None:
    """A metrics endpoint in the master, as many have it."""
    server = configured(
        "import threading\n"
        "def when_ready(server):\n"
        "    def busy():\n"
        "        while True: server.log.debug('%d', sum(range(1000)))\n"
        "    threading.Thread(target=busy, daemon=True).start()\n"
        "workers = 2\n"
    )
    for _ in range(3):
        workers = server.workers()
        server.send(signal.SIGHUP)
        server.wait_workers(2, unlike=workers)
        assert fetch(server.address).status == 200
    assert server.stop() == 0


def survives(server: Running, text: str, count: int = 1) -> bool:
    """Whether the server says this so often, or ends first."""
    eventually(lambda: server.stderr.count(text) >= count or server.process.poll() is not None, text)
    return server.process.poll() is None


@pytest.mark.better("A hook that raises does not end a running master.")
def test_child_exit(configured) -> None:
    server = configured(raising("child_exit"))
    workers = server.wait_workers(1)
    fetch(server.address)
    os.kill(workers[0], signal.SIGTERM)
    server.wait_log("ValueError: no child_exit")
    assert survives(server, "Booting worker", 2)
    server.wait_workers(1, unlike=workers)
    assert fetch(server.address).status == 200
    assert server.stop() == 0


@pytest.mark.better(
    "A hook that raises during a reload fails the reload, and the running configuration stays."
)
@pytest.mark.parametrize("hook", ["on_reload", "nworkers_changed", "pre_fork", "post_fork"])
def test_reload(configured, tmp_path: Path, hook: str) -> None:
    server = configured("def child_exit(s, w): s.log.info('the hooks of before')\n")
    workers = server.wait_workers(1)
    fetch(server.address)
    (tmp_path / "conf.py").write_text(raising(hook))
    server.send(signal.SIGHUP)
    assert survives(server, "Reload failed")
    assert f"ValueError: no {hook}" in server.stderr
    assert fetch(server.address).status == 200
    assert server.wait_workers(1) == workers
    os.kill(workers[0], signal.SIGTERM)
    server.wait_log("[INFO] the hooks of before")
    server.wait_workers(1, unlike=workers)
    assert server.stop() == 0


@pytest.mark.better("A worker that a hook keeps from starting is tried again, at growing intervals.")
def test_pre_fork_at_run_time(configured, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    server = configured(
        "import os\n"
        f"def pre_fork(s, w):\n    if os.path.exists({str(flag)!r}): raise ValueError('not now')\n",
        "-w",
        "2",
    )
    workers = server.wait_workers(2)
    for _ in workers:
        fetch(server.address)
    flag.touch()
    os.kill(workers[0], signal.SIGTERM)
    assert survives(server, "ValueError: not now")
    assert fetch(server.address).status == 200
    flag.unlink()
    server.wait_workers(2, unlike=workers[:1])
    assert server.stop() == 0


def test_a_hook_that_forks(configured) -> None:
    server = configured(
        "import os, sys\n"
        "def when_ready(server):\n"
        "    if os.fork() == 0: sys.exit(7)\n"
        "def child_exit(server, worker):\n"
        "    if os.fork() == 0: raise ValueError('lost')\n"
    )
    workers = server.wait_workers(1)
    os.kill(workers[0], signal.SIGTERM)
    server.wait_workers(1, unlike=workers)
    assert fetch(server.address).status == 200
    assert server.stop() == 0
    assert server.stderr.count("Shutting down: Master") == 1


def test_the_client_does_not_wait_for_post_request(configured, tmp_path: Path) -> None:
    """The whole response is readable while the hook still runs."""
    gate = tmp_path / "gate"
    server = configured(
        "import os, time\n"
        "def post_request(worker, req):\n"
        f"    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
        "    worker.log.info('the hook is over')\n"
    )
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/"))
        while not connection.received.endswith(b"hello\n"):
            assert connection.fill(), bytes(connection.received)
        assert "the hook is over" not in server.stderr
        gate.touch()
        server.wait_log("[INFO] the hook is over")
