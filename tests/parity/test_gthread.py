"""The class `gthread`: requests at the same time, and connections that are kept."""

from __future__ import annotations

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import Connection, encode, fetch
from server import Running, eventually

FLAGS = ("-k", "gthread", "--threads", "4")


@pytest.fixture(scope="module")
def threaded(module_serve) -> Running:
    return module_serve(*FLAGS, "--keep-alive", "60", app="cases:app")


def test_requests_run_at_the_same_time(threaded: Running) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: fetch(threaded.address, "/threads/together?0.4"), range(4)))
    assert max(int(answer.body) for answer in answers) == 4


def test_a_connection_serves_many_requests(threaded: Running) -> None:
    with Connection(threaded.address) as connection:
        for number in range(50):
            connection.send(encode("POST", f"/threads/echo/{number}", body=b"x" * number))
            response = connection.response("POST")
            assert response.body == f"/threads/echo/{number} ".encode() + b"x" * number
            assert response.value("Connection") in (None, "keep-alive")


def test_pipelined_requests_are_answered_in_order(threaded: Running) -> None:
    with Connection(threaded.address) as connection:
        requests = [encode("POST", f"/threads/echo/{number}", body=b"y" * number) for number in range(20)]
        connection.send(b"".join(requests))
        for number in range(20):
            assert connection.response("POST").body.startswith(f"/threads/echo/{number} ".encode())


def test_a_request_that_comes_byte_by_byte_on_a_kept_connection(threaded: Running) -> None:
    with Connection(threaded.address) as connection:
        for _ in range(2):
            for byte in encode("POST", "/threads/echo", body=b"slow"):
                connection.send(bytes([byte]))
            assert connection.response("POST").body == b"/threads/echo slow"


@pytest.mark.parametrize(
    ("request_bytes", "kept"),
    [
        (b"GET /hello/app HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET /hello/app HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
        (b"GET /hello/app HTTP/1.0\r\n\r\n", False),
        (b"GET /hello/app HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_who_keeps_a_connection(threaded: Running, request_bytes: bytes, kept: bool) -> None:
    with Connection(threaded.address) as connection:
        connection.send(request_bytes)
        response = connection.response()
        assert response.status == 200
        assert (response.value("Connection") == "close") is not kept
        if kept:
            connection.send(b"GET /hello/app HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert connection.response().status == 200
        assert connection.at_end()


def test_a_bad_request_on_a_kept_connection_is_answered_and_closes_it(threaded: Running) -> None:
    with Connection(threaded.address) as connection:
        connection.send(encode("GET", "/hello/app"))
        assert connection.response().status == 200
        connection.send(b"BAD\r\n\r\n")
        assert connection.response().status == 400
        assert connection.at_end()


def test_an_application_that_fails_does_not_end_the_worker(serve) -> None:
    server = serve(*FLAGS, app="cases:app")
    (worker,) = server.wait_workers(1)
    for _ in range(3):
        assert fetch(server.address, "/misuse/raises").status == 500
    assert fetch(server.address, "/hello/app").status == 200
    assert server.workers() == [worker]


def test_the_environ_says_so(threaded: Running) -> None:
    assert fetch(threaded.address, "/threads/flags").body.startswith(b"True")


def test_sync_with_threads_is_gthread(serve) -> None:
    server = serve("--threads", "2", app="cases:app")
    server.wait_log("Using worker: gthread")
    with Connection(server.address) as connection:
        for _ in range(2):
            connection.send(encode("GET", "/hello/app"))
            assert connection.response().status == 200


def test_one_thread_keeps_connections_too(serve) -> None:
    server = serve("-k", "gthread", "--keep-alive", "60", app="cases:app")
    with Connection(server.address) as connection:
        for _ in range(20):
            connection.send(encode("GET", "/hello/app"))
            assert connection.response().status == 200


@pytest.mark.parametrize("threads", ["1", "4"])
def test_an_idle_connection_is_closed_in_time(serve, threads: str) -> None:
    server = serve("-k", "gthread", "--threads", threads, "--keep-alive", "1", app="cases:app")
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/hello/app"))
        assert connection.response().status == 200
        began = time.monotonic()
        assert connection.at_end()
        assert 0.5 < time.monotonic() - began < 8


def test_keep_alive_can_be_turned_off(serve) -> None:
    server = serve(*FLAGS, "--keep-alive", "0", app="cases:app")
    with Connection(server.address) as connection:
        connection.send(encode("GET", "/hello/app"))
        assert connection.response().value("Connection") == "close"
        assert connection.at_end()


def test_a_graceful_stop_finishes_what_has_begun(serve) -> None:
    server = serve(*FLAGS, app="cases:app")
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(fetch, server.address, "/threads/together?1") for _ in range(3)]
        # The application is inside when a fourth says so.
        eventually(lambda: int(fetch(server.address, "/threads/together?0").body) == 4, "all are inside")
        assert server.stop() == 0
        assert [one.result().status for one in asked] == [200] * 3


def test_a_reload_under_kept_connections_loses_nothing(serve) -> None:
    server = serve(*FLAGS, "-w", "2", "--keep-alive", "60", app="cases:app")
    before = server.wait_workers(2)
    stop, failures = threading.Event(), []

    def client() -> None:
        connection = Connection(server.address)
        while not stop.is_set():
            try:
                connection.send(encode("GET", "/hello/app"))
                response = connection.response()
                assert response.status == 200
                if response.value("Connection") == "close":
                    connection.__exit__()
                    connection = Connection(server.address)
            except (OSError, AssertionError) as error:
                failures.append(repr(error))
                connection = Connection(server.address)
        connection.__exit__()

    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    server.send(signal.SIGHUP)
    server.wait_workers(2, unlike=before)
    stop.set()
    for one in clients:
        one.join()
    assert not failures, failures[:3]


def test_every_client_has_its_turn(serve) -> None:
    server = serve("-k", "gthread", "--threads", "2", "--keep-alive", "60", app="cases:app")
    answers, stop = [0] * 12, threading.Event()

    def client(number: int) -> None:
        with Connection(server.address) as connection:
            while not stop.is_set():
                connection.send(encode("GET", "/threads/together?0.01"))
                assert connection.response().status == 200
                answers[number] += 1

    clients = [threading.Thread(target=client, args=(number,)) for number in range(len(answers))]
    for one in clients:
        one.start()
    try:
        eventually(lambda: min(answers) >= 5, "five answers for each")
    finally:
        stop.set()
        for one in clients:
            one.join()


def test_who_comes_last_waits_for_a_few_turns_of_the_others(serve) -> None:
    server = serve("-k", "gthread", "--threads", "8", "--keep-alive", "60", app="cases:app")
    answers, counts, stop = [0] * 40, [], threading.Event()

    def client(number: int) -> None:
        with Connection(server.address) as connection:
            while not stop.is_set():
                connection.send(encode("GET", "/threads/together?0.02"))
                assert connection.response().status == 200
                answers[number] += 1
                if answers[number] == 1:
                    counts.append(sum(answers))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(len(answers))]
    for one in clients:
        one.start()
    try:
        eventually(lambda: len(counts) == len(answers), "an answer for each")
    finally:
        stop.set()
        for one in clients:
            one.join()
    # Forty come at once: when the last of them is answered the first have had their second and third answers.
    assert counts[-1] < 3.5 * len(answers), counts


def test_recycled_by_requests(serve) -> None:
    server = serve(*FLAGS, "--max-requests", "20", app="cases:app")
    (first,) = server.wait_workers(1)
    for _ in range(40):
        assert fetch(server.address, "/hello/app").status == 200
    eventually(lambda: server.workers() and first not in server.workers(), "another worker")


@pytest.mark.better("Twenty half requests do not occupy the threads of a `gthread` worker.")
def test_half_requests_occupy_nothing(serve) -> None:
    server = serve(*FLAGS, app="cases:app")
    with_half = [socket.create_connection(server.address) for _ in range(20)]
    for one in with_half:
        one.sendall(b"GET / HTTP/1.1\r\nHost")
    try:
        with Connection(server.address, timeout=3) as connection:
            connection.send(encode("GET", "/hello/app"))
            assert connection.response().status == 200
    finally:
        for one in with_half:
            one.close()


@pytest.mark.better("`sys.exit()` in an application ends its request, not the `gthread` worker.")
def test_an_application_that_leaves(serve) -> None:
    server = serve(*FLAGS, app="cases:app")
    (worker,) = server.wait_workers(1)
    assert fetch(server.address, "/threads/leaves").status == 500
    assert fetch(server.address, "/hello/app").status == 200
    assert server.workers() == [worker]


@pytest.mark.better("Objects of a request that is over cannot touch the next one on its connection.")
def test_objects_of_an_old_request(serve) -> None:
    server = serve("-k", "gthread", "--threads", "2", "--keep-alive", "60", app="cases:app")
    with Connection(server.address) as connection:
        # Those of a request that kept nothing may serve again, and are kept then.
        for kind in ["input", "nothing", "start", "nothing", "write", "hints", "nothing", "environ"]:
            connection.send(encode("POST", f"/threads/keeps?{kind}", body=b"first"))
            assert connection.response("POST").body == b"kept"
            connection.send(encode("POST", "/threads/uses", body=b"second"))
            said = "None" if kind == "nothing" else "the request this belongs to has ended"
            assert connection.response("POST").body.decode() == f"{said}; b'second'", kind
