"""What rwsgi makes of hooks beside gunicorn: checks before the start, and reloads that cannot be done."""

import json
import os
import signal
from pathlib import Path

from client import fetch
from server import APPS, eventually


def test_a_reload_with_a_hook_that_cannot_be_called(serve, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("def child_exit(server, worker): server.log.info('the hook of before')\n")
    server = serve("-c", str(config))
    workers = server.wait_workers(1)
    fetch(server.address)
    config.write_text("def post_fork(server): pass\n")
    server.send(signal.SIGHUP)
    server.wait_log("Reload failed, generation 1 keeps serving: ")
    said = f"{config}:1: invalid value for post_fork: <function post_fork>: Value must have an arity of: 2"
    assert said in server.stderr
    assert server.wait_workers(1) == workers
    os.kill(workers[0], signal.SIGTERM)
    server.wait_log("the hook of before")
    assert fetch(server.address).status == 200


def test_a_preloaded_application_is_reloaded_with_the_hooks_of_a_reload(serve) -> None:
    """The master's program starts again in its place, which is no start to a hook."""
    config = str(APPS / "recording_hooks.py")
    server = serve("--preload", "-c", config, app="hooked:app", env={"RECORD": "{home}/record"})
    workers = server.wait_workers(1)
    fetch(server.address)
    server.send(signal.SIGHUP)
    server.wait_workers(1, unlike=workers)
    assert server.stop() == 0
    records = [json.loads(line) for line in (server.home / "record").read_text().splitlines()]
    master = [record for record in records if record["process"] == server.pid]
    assert [record["hook"] for record in master] == [
        *("nworkers_changed", "on_starting", "when_ready", "pre_fork"),
        *("nworkers_changed", "on_reload", "pre_fork", "child_exit", "child_exit", "on_exit"),
    ]
    assert (master[4]["new"], master[4]["old"]) == (1, 1)
    assert master[5]["workers"] == {str(workers[0]): 1}
    assert (master[6]["age"], master[7]["pid"], master[7]["age"]) == (2, workers[0], 1)


def test_a_new_master_is_not_started_when_pre_exec_raises(serve, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("def pre_exec(server): raise ValueError('not now')\n")
    server = serve("-c", str(config))
    workers = server.wait_workers(1)
    fetch(server.address)
    server.send(signal.SIGUSR2)
    server.wait_log("Cannot start the program again: pre_exec raised ValueError: not now")
    eventually(lambda: len(server.descendants()) == 2, "nothing but the master and its worker is left")
    assert fetch(server.address).status == 200
    assert server.workers() == workers
    assert server.stop() == 0


def test_hooks_of_the_start_keep_for_a_reload(serve, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("def when_ready(server): pass\n")
    server = serve("-c", str(config))
    workers = server.wait_workers(1)
    fetch(server.address)
    server.send(signal.SIGHUP)
    workers = server.wait_workers(1, unlike=workers)
    assert "when_ready changed" not in server.stderr
    config.write_text("")
    server.send(signal.SIGHUP)
    server.wait_log("when_ready changed: a reload keeps the running value")


def test_print_config_shows_them_alike(run, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("on_exit = 'os.path.exists'\ndef when_ready(server): pass\n")
    status, out, err = run("--print-config", "-c", str(config), "hello:app")
    lines = {line.split(" ")[0]: line for line in out.splitlines()}
    assert status == 0, err
    assert "= <function when_ready> " in lines["when_ready"]
    assert "= 'os.path.exists' " in lines["on_exit"]
    assert lines["pre_fork"].split("=")[1].startswith(" None ")


def test_check_config_finds_what_is_wrong(run, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("\non_exit = 'os.nope'\n")
    status, _, err = run("--check-config", "-c", str(config), "hello:app")
    assert status == 1
    assert err == f"Error: {config}:2: invalid value for on_exit: 'os.nope': Can not load 'nope' from 'os'\n"


def test_a_hook_in_a_variable(serve, tmp_path: Path) -> None:
    (tmp_path / "shop_hooks.py").write_text("def ready(server): server.log.info('from a variable')\n")
    server = serve(env={"PYTHONPATH": str(tmp_path), "RWSGI_WHEN_READY": "shop_hooks.ready"})
    server.wait_log("[INFO] from a variable")


def test_a_failed_upgrade_leaves_the_socket(serve, tmp_path: Path) -> None:
    """The second master listens on the first one's unix socket, whose file it must not take away."""
    config = tmp_path / "conf.py"
    config.write_text("def when_ready(server):\n    if server.master_pid: raise ValueError('not now')\n")
    server = serve("-c", str(config), bind="unix")
    fetch(server.address)
    server.send(signal.SIGUSR2)
    server.wait_log("ValueError: not now")
    eventually(lambda: len(server.descendants()) == 2, "the second master is gone")
    assert fetch(server.address).status == 200


def test_a_hook_that_raises_cannot_stop_a_preloaded_reload(serve, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("")
    server = serve("--preload", "-c", str(config))
    workers = server.wait_workers(1)
    fetch(server.address)
    config.write_text("def on_reload(server): raise ValueError('too late')\n")
    server.send(signal.SIGHUP)
    server.wait_log("ValueError: too late")
    server.wait_workers(1, unlike=workers)
    assert fetch(server.address).status == 200
    assert server.stop() == 0
