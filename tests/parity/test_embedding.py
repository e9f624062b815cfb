"""The server inside a program of one's own: gunicorn's documented custom application, of either package."""

import os
import re
import signal

import pytest
from client import fetch
from server import HERE, eventually, is_gone, title_of

better = pytest.mark.better


def lines(text: str, what: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(what)]


def setting(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s+= (\S+)", text, re.MULTILINE)
    assert found, f"{name} in:\n{text}"
    return found[1]


def test_the_documented_example(embed) -> None:
    server, _ = embed(workers=2)
    assert fetch(server.address).body == b"works, timeout 30\n"
    workers = server.wait_workers(2)
    assert title_of(server.pid) == server.kind.title("master", server.kind.name)
    eventually(lambda: len(lines(server.stdout, "load in")) == 2, "each worker has loaded it")
    assert server.stop() == 0
    assert sorted(lines(server.stdout, "post_fork")) == sorted(
        f"post_fork of StandaloneApplication in {pid}" for pid in workers
    )
    assert f"ended with 0 in {server.pid}\n" in server.stdout


@better("a worker leaves through the program's own frames: it runs their `finally` and `except SystemExit`")
def test_only_the_master_comes_back_to_the_program(embed) -> None:
    server, _ = embed(workers=2)
    server.wait_workers(2)
    assert server.stop() == 0
    assert lines(server.stdout, "ended") == [f"ended with 0 in {server.pid}"]
    assert lines(server.stdout, "tidied") == [f"tidied in {server.pid}"]


def test_hup_makes_the_settings_again(embed) -> None:
    server, embedding = embed(workers=1)
    before = server.wait_workers(1)
    embedding.configure(workers=2, timeout=31)
    server.send(signal.SIGHUP)
    server.wait_workers(2, unlike=before)
    eventually(lambda: fetch(server.address).body == b"works, timeout 31\n", "the new settings")
    assert server.stop() == 0


@better("the master exits, and with it the service")
def test_hup_with_settings_that_are_wrong_changes_nothing(embed) -> None:
    server, embedding = embed()
    before = server.wait_workers(1)
    embedding.configure(workers="many")
    server.send(signal.SIGHUP)
    said = "application: invalid value for workers: 'many'"
    eventually(lambda: said in server.stderr or is_gone(server.pid), "the settings are refused")
    assert not is_gone(server.pid)
    embedding.configure(workers=2)
    server.send(signal.SIGHUP)
    server.wait_workers(2, unlike=before)
    assert server.stop() == 0


def test_a_worker_that_dies_is_replaced(embed) -> None:
    server, _ = embed()
    (worker,) = server.wait_workers(1)
    os.kill(worker, signal.SIGKILL)
    server.wait_workers(1, unlike=[worker])
    assert fetch(server.address).status == 200
    assert server.stop() == 0


def test_a_preloaded_application_is_loaded_once(embed) -> None:
    server, _ = embed(workers=2, preload_app=True)
    before = server.wait_workers(2)
    server.send(signal.SIGHUP)
    server.wait_workers(2, unlike=before)
    assert fetch(server.address).status == 200
    assert lines(server.stdout, "load in") == [f"load in {server.pid}"]
    assert server.stop() == 0


def test_usr2_starts_the_program_again(embed) -> None:
    server, _ = embed()
    server.wait_workers(1)
    new = server.upgrade(1)
    assert fetch(server.address).status == 200
    server.send(signal.SIGTERM)
    assert server.wait_exit() == 0
    server.successor = new
    assert fetch(server.address).status == 200
    os.kill(new, signal.SIGTERM)
    eventually(lambda: not server.descendants(), "the new master has ended")


def test_an_application_that_raises(embed_to_the_end) -> None:
    status, stdout, stderr = embed_to_the_end("broken")
    assert status == 3
    assert "ValueError: no database" in stderr
    assert lines(stdout, "ended with 3")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": -1}, "Value must be positive: -1"),
        ({"unchecked": {"wrokers": 1}}, "No configuration setting for: wrokers"),
    ],
)
def test_settings_that_are_wrong(embed_to_the_end, options: dict[str, object], said: str) -> None:
    status, stdout, stderr = embed_to_the_end("standalone", **options)
    assert status == 1
    assert f"Error: {said}" in stderr or f": {said}" in stderr
    assert lines(stdout, "ended with 1")


def test_an_application_with_arguments(embed_to_the_end) -> None:
    """What `init` returns is above the defaults and below everything else."""
    configuration = str(HERE / "configs" / "embedded.py")
    status, stdout, stderr = embed_to_the_end(
        "arguments", "--print-config", "-c", configuration, "--timeout", "14", "word", "other"
    )
    assert status == 0, stderr
    assert lines(stdout, "init ['word', 'other'] None")
    assert [setting(stdout, name) for name in ("workers", "backlog", "timeout")] == ["2", "13", "14"]


def test_what_is_set_after_the_command_line_wins(embed_to_the_end) -> None:
    status, stdout, stderr = embed_to_the_end("last_word", "--print-config", "--timeout=14", "hello:app")
    assert status == 0, stderr
    assert setting(stdout, "timeout") == "15"
    status, _, stderr = embed_to_the_end("last_word")
    assert status == 1
    assert "Error: No application module specified." in stderr
    status, _, stderr = embed_to_the_end("last_word", "--no-such-flag")
    assert status == 2
    assert "--no-such-flag" in stderr
