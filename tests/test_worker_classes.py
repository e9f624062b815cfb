"""What every worker class promises, in one matrix: the same requests, the same life.

Owns the list of classes that are driven from Python, and of what they share with the others. What gunicorn's
gevent does too is in parity/test_gevent.py. Read next: apps/green.py, apps/own_workers.py.
"""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from client import Connection, chunked, encode, fetch
from server import APPS, Running, eventually

CLASSES = {
    "gthread": ("-k", "gthread", "--threads", "8"),
    "gevent": ("-k", "gevent"),
    "eventlet": ("-k", "eventlet"),
    "tornado": ("-k", "tornado"),
    "own": ("-k", "own_workers.Serial"),
}
# Serve more than one request at a time.
CONCURRENT = ["gthread", "gevent", "eventlet"]
GREEN = ["gevent", "eventlet"]
every = pytest.mark.parametrize("name", CLASSES)
concurrent = pytest.mark.parametrize("name", CONCURRENT)
green = pytest.mark.parametrize("name", GREEN)


@pytest.fixture(scope="module")
def servers_of(module_serve):
    """The server of a class, started once."""
    started: dict[str, Running] = {}

    def server_of(name: str) -> Running:
        if name not in started:
            log = ("--access-logfile", "-", "--keep-alive", "30")
            started[name] = module_serve(*CLASSES[name], *log, app="cases:app")
        return started[name]

    return server_of


@every
def test_get(servers_of, name: str) -> None:
    response = fetch(servers_of(name).address, "/hello/app")
    assert (response.status, response.body) == (200, b"hello\n")


@every
@pytest.mark.parametrize("size", [0, 1000, 3_000_000])
def test_upload(servers_of, name: str, size: int) -> None:
    body = os.urandom(size)
    with Connection(servers_of(name).address) as connection:
        connection.send(encode("POST", "/bodies/echo", body=body))
        assert connection.response("POST").body == body


@every
def test_chunked_upload(servers_of, name: str) -> None:
    pieces = [b"x" * 100_000, b"y", b"z" * 1_500_000]
    with Connection(servers_of(name).address) as connection:
        fields = [("Transfer-Encoding", "chunked")]
        connection.send(encode("POST", "/bodies/echo", *fields) + chunked(*pieces))
        assert connection.response("POST").body == b"".join(pieces)


@concurrent
def test_a_body_that_comes_while_the_application_reads_delays_nobody(servers_of, name: str) -> None:
    """It is larger than what is kept of one before the call."""
    server, half = servers_of(name), b"x" * 2_000_000
    with Connection(server.address) as slow:
        slow.send(encode("POST", "/bodies/echo", ("Content-Length", str(2 * len(half)))) + half)
        assert fetch(server.address, "/hello/app").status == 200
        slow.send(half)
        assert slow.response("POST").body == half + half


@concurrent
def test_a_client_that_does_not_read_delays_nobody(servers_of, name: str) -> None:
    server = servers_of(name)
    with Connection(server.address) as slow:
        slow.send(encode("GET", "/green/pours"))
        slow.line()
        assert fetch(server.address, "/hello/app").status == 200


@every
def test_stream(servers_of, name: str) -> None:
    response = fetch(servers_of(name).address, "/iterables/generator")
    assert response.status == 200
    assert response.framing == "chunked"


@every
def test_an_application_that_raises(servers_of, name: str) -> None:
    server = servers_of(name)
    (worker,) = server.wait_workers(1)
    for case in ("raises", "exits", "interrupts"):
        assert fetch(server.address, f"/misuse/{case}").status == 500
    server.wait_log("RuntimeError: before start_response")
    assert server.workers() == [worker]


@every
def test_a_response_that_breaks_off_is_cut(servers_of, name: str) -> None:
    with Connection(servers_of(name).address) as connection:
        connection.send(encode("GET", "/misuse/raises_after_write"))
        assert connection.head().status == 200
        assert connection.rest() == b"written"


@every
def test_keep_alive(servers_of, name: str) -> None:
    with Connection(servers_of(name).address) as connection:
        for _ in range(5):
            connection.send(encode("GET", "/hello/app"))
            assert connection.response().status == 200


@every
def test_pipelining(servers_of, name: str) -> None:
    with Connection(servers_of(name).address) as connection:
        numbers = range(20)
        connection.send(b"".join(encode("GET", f"/threads/echo/{number}") for number in numbers))
        for number in numbers:
            assert connection.response().body == f"/threads/echo/{number} ".encode()


@every
def test_half_sent_requests_delay_nobody(servers_of, name: str) -> None:
    server = servers_of(name)
    waiting = [Connection(server.address) for _ in range(50)]
    for connection in waiting:
        connection.send(b"GET /hello/app HTTP/1.1\r\nHost: te")
    assert fetch(server.address, "/hello/app").status == 200
    for connection in waiting:
        connection.send(b"st\r\n\r\n")
        assert connection.response().status == 200
        connection.socket.close()


@every
def test_a_bad_request(servers_of, name: str) -> None:
    with Connection(servers_of(name).address) as connection:
        connection.send(b"GET / HTTP/1.1\r\nBad Field: 1\r\n\r\n")
        assert connection.response().status == 400
        assert connection.at_end()


@every
def test_access_log(servers_of, name: str) -> None:
    server = servers_of(name)
    fetch(server.address, f"/hello/app?{name}")
    eventually(lambda: f'"GET /hello/app?{name} HTTP/1.1" 200 6' in server.stdout, "a line in the access log")


@concurrent
def test_requests_run_at_the_same_time(servers_of, name: str) -> None:
    server = servers_of(name)
    with ThreadPoolExecutor(6) as clients:
        answers = list(clients.map(lambda _: fetch(server.address, "/threads/together?0.5"), range(6)))
    assert max(int(answer.body) for answer in answers) == 6


@every
def test_the_environ_says_whether_requests_run_together(servers_of, name: str) -> None:
    body = fetch(servers_of(name).address, "/threads/flags").body
    # The server cannot know what a class of one's own does.
    assert body.startswith(b"True")


@every
@pytest.mark.parametrize("what", ["input", "start", "write"])
def test_objects_of_an_ended_request_are_dead(servers_of, name: str, what: str) -> None:
    server = servers_of(name)
    fetch(server.address, f"/threads/keeps?{what}")
    said = fetch(server.address, "/threads/uses", method="POST", body=b"own").body
    assert said == b"the request this belongs to has ended; b'own'"


@every
def test_the_worker_finishes_what_has_begun(serve, name: str) -> None:
    server = serve(*CLASSES[name], app="slow:app")
    with Connection(server.address) as connection, Connection(server.address) as idle:
        idle.send(encode("GET", "/"))
        assert idle.response().status == 200
        connection.send(encode("GET", "/?1"))
        server.wait_log("started", 2)
        server.send(signal.SIGTERM)
        assert connection.response().status == 200
        assert idle.at_end()
    assert server.wait_exit() == 0
    assert "[ERROR]" not in server.stderr


@every
def test_int_ends_a_worker_at_once(serve, name: str) -> None:
    server = serve(*CLASSES[name], app="slow:app")
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/?30"))
        server.wait_log("started")
        began = time.monotonic()
        assert server.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 10
    assert "Worker exiting" in server.stderr


@every
def test_max_requests(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--max-requests", "5", app="slow:pid")
    before = server.wait_workers(1)
    for _ in range(8):
        assert fetch(server.address).status == 200
    server.wait_workers(1, unlike=before)
    assert server.stderr.count("Autorestarting worker after current request.") >= 1


@pytest.mark.parametrize("name", ["gevent", "eventlet", "tornado", "own"])
def test_a_loop_that_stands_still_is_killed(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--timeout", "1", app="green:spins")
    before = server.wait_workers(1)
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/?60"))
        server.wait_log("WORKER TIMEOUT", timeout=15)
        server.wait_log("GET /?60")
        server.wait_workers(1, unlike=before)


@green
def test_a_request_that_waits_is_no_reason_to_kill(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--timeout", "1", app="slow:app")
    assert fetch(server.address, "/?2.5").status == 200
    assert "WORKER TIMEOUT" not in server.stderr


@every
def test_hup_loses_nothing(serve, unfailing, name: str) -> None:
    server = serve(*CLASSES[name], "-w", "2")
    before = server.wait_workers(2)
    with unfailing(server):
        server.send(signal.SIGHUP)
        server.wait_workers(2, unlike=before)
    assert "[ERROR]" not in server.stderr


@every
def test_a_master_that_is_killed_leaves_no_worker(serve, name: str) -> None:
    server = serve(*CLASSES[name])
    (worker,) = server.wait_workers(1)
    server.process.kill()
    eventually(lambda: worker not in server.descendants(), "the worker leaves")


@every
def test_hooks(serve, tmp_path, name: str) -> None:
    record = tmp_path / "record"
    server = serve(*CLASSES[name], "-c", "recording_hooks.py", app="hooked:app", env={"RECORD": str(record)})
    assert fetch(server.address).status == 200
    assert server.stop() == 0
    hooks = [json.loads(line)["hook"] for line in record.read_text().splitlines()]
    wanted = ["post_fork", "post_worker_init", "pre_request", "post_request", "worker_exit"]
    assert [hook for hook in hooks if hook in wanted] == wanted


@every
def test_reload(serve, tmp_path, name: str) -> None:
    source = tmp_path / "edited.py"
    text = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{}']\n"
    source.write_text(text.format("old"))
    server = serve(*CLASSES[name], "--reload", "--pythonpath", str(APPS), app="edited:app", cwd=tmp_path)
    assert fetch(server.address).body == b"old"
    source.write_text(text.format("newer"))
    server.wait_log("Worker reloading")
    eventually(lambda: fetch(server.address).body == b"newer", "the new code answers")


@every
def test_an_idle_connection_is_closed_in_time(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--keep-alive", "1")
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/"))
        assert connection.response().status == 200
        assert connection.at_end()


@every
def test_a_slow_head_is_answered_408(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--request-head-timeout", "1")
    with Connection(server.address) as connection:
        connection.send(b"GET / HTTP/1.1\r\n")
        assert connection.response().status == 408


@green
def test_a_slow_body_that_the_application_reads_raises(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--request-body-timeout", "1", "--request-buffer", "0", app="bodies:error")
    with Connection(server.address) as connection:
        connection.send(encode("POST", "/", ("Content-Length", "10")) + b"half")
        assert json.loads(connection.response("POST").body) == "OSError"


@green
def test_no_more_requests_run_than_there_may_be_connections(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--worker-connections", "3", app="threads:together")
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: fetch(server.address, "/?0.2"), range(8)))
    assert [answer.status for answer in answers] == [200] * 8
    assert max(int(answer.body) for answer in answers) == 3


def processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@green
def test_a_worker_in_which_nothing_more_may_run_waits(serve, name: str) -> None:
    bounds = ("--worker-connections", "1", "--max-waiting-requests", "2")
    server = serve(*CLASSES[name], *bounds, app="slow:app")
    (worker,) = server.wait_workers(1)
    with Connection(server.address) as first, Connection(server.address) as second:
        first.send(encode("GET", "/?1.5"))
        server.wait_log("started")
        # It is taken, and waits.
        second.send(encode("GET", "/"))
        before = processor_time(worker)
        assert first.response().status == 200
        assert processor_time(worker) - before < 0.7
        assert second.response().status == 200


def test_threads_mean_nothing_to_greenlets(serve) -> None:
    server = serve("-k", "gevent", "--threads", "4", "-w", "2")
    server.wait_log("Using worker: gevent")
    server.wait_log("[WARNING] threads means nothing to the worker class gevent.")


@green
def test_two_thousand_idle_connections_delay_nobody(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--worker-connections", "3000", "--keep-alive", "60")
    idle = [Connection(server.address) for _ in range(2000)]
    try:
        for connection in idle[::100]:
            connection.send(encode("GET", "/"))
            assert connection.response().status == 200
    finally:
        for connection in idle:
            connection.socket.close()


@green
def test_the_library_has_patched_python_before_the_application_is_loaded(servers_of, name: str) -> None:
    assert fetch(servers_of(name).address, "/green/at_import").body == name.encode()


@green
def test_a_preloaded_application_finds_python_patched(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--preload", app="green:at_import")
    assert fetch(server.address).body == name.encode()


@green
def test_workers_with_a_preloaded_application_have_loops_of_their_own(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--preload", "-w", "2", app="slow:app")
    with ThreadPoolExecutor(6) as clients:
        began = time.monotonic()
        answers = list(clients.map(lambda _: fetch(server.address, "/?1"), range(6)))
    assert [answer.status for answer in answers] == [200] * 6
    assert time.monotonic() - began < 4


@green
def test_no_request_sees_the_locals_of_another(servers_of, name: str) -> None:
    with Connection(servers_of(name).address) as connection:
        for _ in range(3):
            connection.send(encode("GET", "/green/local?mine"))
            assert connection.response().body == b"nothing"


@green
def test_blocking_calls_inside_the_application_let_others_run(servers_of, name: str) -> None:
    """It asks its own worker, which has to answer meanwhile."""
    server = servers_of(name)
    host, port = server.address
    with ThreadPoolExecutor(5) as clients:
        answers = list(clients.map(lambda _: fetch(server.address, f"/green/calls?{host}:{port}"), range(5)))
    assert [answer.body for answer in answers] == [b"hello\n"] * 5


@green
def test_a_logger_that_waits_lets_others_run_and_tells_of_all(serve, name: str) -> None:
    server = serve(*CLASSES[name], "--logger-class", "own_workers.SlowLogger")
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda number: fetch(server.address, f"/{number}"), range(8)))
    told = [f"told of /{number}" for number in range(8)]
    eventually(lambda: sorted(server.stdout.splitlines()) == told, f"each is told: {server.stdout}")
    assert "Traceback" not in server.stderr


def frame(opcode: int, data: bytes) -> bytes:
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(data))
    return bytes([0x80 | opcode, 0x80 | len(data)]) + mask + masked


@concurrent
def test_a_websocket_by_the_socket_of_the_environ(servers_of, name: str) -> None:
    server = servers_of(name)
    errors = server.stderr.count("[ERROR]")
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", "x" * 22 + "==")]
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/green/echo_socket", *fields))
        assert connection.head().status == 101
        for word in (b"one", b"two", b"three"):
            connection.send(frame(1, word))
            assert connection.exactly(2 + len(word))[2:] == word
            assert fetch(server.address, "/hello/app").status == 200
        connection.send(frame(8, b""))
        assert connection.at_end()
    eventually(lambda: '"GET /green/echo_socket HTTP/1.1" 101' in server.stdout, "the access log's line")
    assert server.stderr.count("[ERROR]") == errors


@concurrent
def test_an_application_that_raises_stop_iteration_by_mistake_fails(servers_of, name: str) -> None:
    assert fetch(servers_of(name).address, "/green/stops").status == 500


def test_a_class_of_ones_own_may_derive_from_another(serve) -> None:
    server = serve("-k", "own_workers.Noted", app="slow:app")
    server.wait_log("Using worker: own_workers.Noted")
    with ThreadPoolExecutor(4) as clients:
        assert all(a.status == 200 for a in clients.map(lambda _: fetch(server.address, "/?0.5"), range(4)))
    assert server.stop() == 0
    assert server.stdout.split() == ["patching", "running", "done"]


def test_a_task_that_is_forgotten_closes_its_connection(serve) -> None:
    server = serve("-k", "own_workers.Forgetful")
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/"))
        assert connection.at_end()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("own_workers.Broken", "RuntimeError: it does not run"),
        ("own_workers.Stranger", "does not derive from rwsgi.workers.base.Worker"),
        ("own_workers.Absent", "has no attribute 'Absent'"),
        ("not_there.Worker", "No module named 'not_there'"),
    ],
)
def test_a_class_that_cannot_be_used_keeps_the_server_from_starting(run, path: str, said: str) -> None:
    status, _, stderr = run("-k", path, "-b", "127.0.0.1:0", "hello:app")
    assert status == 3
    assert said in stderr


@pytest.mark.parametrize("name", [*GREEN, "tornado"])
@pytest.mark.parametrize("flags", [(), ("--preload",), ("--check-config",)], ids=["", "preload", "check"])
def test_a_package_that_is_missing_is_told(run, tmp_path, name: str, flags: tuple[str, ...]) -> None:
    missing = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')"
    (tmp_path / f"{name}.py").write_text(missing)
    path = {"PYTHONPATH": str(tmp_path)}
    status, _, stderr = run("-k", name, "-b", "127.0.0.1:0", *flags, "hello:app", env=path)
    assert status == (1 if flags == ("--check-config",) else 3)
    assert stderr.count(f"the worker class {name} needs a package: pip install 'rwsgi[{name}]'") == 1
    assert "Traceback" not in stderr


def test_a_class_that_fails_while_it_serves_is_told_and_replaced(serve) -> None:
    server = serve("-k", "own_workers.Dies")
    server.wait_log("The worker class own_workers.Dies failed", 2)
    server.wait_log("RuntimeError: it does not go on", 2)
