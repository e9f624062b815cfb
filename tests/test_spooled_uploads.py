"""`request_spool`: large bodies wait in a file. Their clients hold up nobody; a full disk costs one."""

import hashlib
import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from client import Connection, Response, chunked, encode, fetch
from server import Running, eventually

MEGABYTE = 1 << 20
SPOOL = ("--request-spool", "200M")
FRAMINGS = pytest.mark.parametrize("framing", ["length", "chunked"])
WAYS = (
    "read",
    "read_none",
    "read_zero",
    "read_past_end",
    "readline",
    "readline_sized",
    "readlines",
    "readlines_hint",
    "iterated",
    "mixed",
    "unread",
)
# Lines of all lengths, some longer than what is read ahead, the last without an end.
LINES = b"".join(b"%06d" % number * (number % 97) + b"\n" for number in range(1000)) + b"x" * 150_000


def upload(target: str, body: bytes, framing: str) -> bytes:
    if framing == "length":
        return encode("POST", target, ("Content-Length", str(len(body))), body=body)
    blocks = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    return encode("POST", target, ("Transfer-Encoding", "chunked"), body=chunked(*blocks))


def send(server: Running, request: bytes) -> Response:
    with Connection(server.address, timeout=30) as client:
        client.send(request)
        return client.response()


def spools(pid: int, directory: Path) -> list[str]:
    """The files without a name in `directory` that the process has."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(descriptor))
        except OSError:
            continue
    return [target for target in found if target.startswith(f"{directory}/") and "(deleted)" in target]


@pytest.fixture
def spooling(serve, tmp_path: Path):
    """A server of the test applications with a directory of its own for uploads."""
    directory = tmp_path / "uploads"
    directory.mkdir()

    def spooling(*arguments: str) -> Running:
        env = {"RWSGI_TMP_UPLOAD_DIR": str(directory)}
        return serve(*SPOOL, *arguments, app="cases:app", env=env)

    return spooling


@FRAMINGS
def test_the_application_reads_as_ever(spooling, shared: Running, framing: str) -> None:
    server = spooling("--request-buffer", "64K")
    for way in WAYS:
        request = upload(f"/bodies/{way}", LINES, framing)
        told = send(server, request)
        assert told.status == 200
        assert told.body == send(shared, request).body, way


@pytest.mark.parametrize("threads", [1, 2], ids=["sync", "gthread"])
def test_stalled_uploads_hold_up_nobody(spooling, tmp_path: Path, threads: int) -> None:
    server = spooling("--threads", str(threads))
    (worker,) = server.wait_workers(1)
    body = os.urandom(3 * MEGABYTE)
    half = len(body) // 2
    with ExitStack() as stack:
        clients = [stack.enter_context(Connection(server.address)) for _ in range(20)]
        for client in clients:
            client.send(
                encode("POST", "/bodies/digest", ("Content-Length", str(len(body))), body=body[:half])
            )
        directory = tmp_path / "uploads"
        eventually(lambda: len(spools(worker, directory)) == 20, "a file for each")
        assert not list(directory.iterdir()), "nobody else can open them"
        start = time.monotonic()
        for _ in range(5):
            assert fetch(server.address, "/hello/app").body == b"hello\n"
        assert time.monotonic() - start < 1
        for client in reversed(clients):
            client.send(body[half:])
            told = json.loads(client.response().body)
            assert told["sha256"] == hashlib.sha256(body).hexdigest()
        eventually(lambda: not spools(worker, directory), "their files are gone")


@FRAMINGS
@pytest.mark.parametrize("most", ["200M", "20M"], ids=["whole", "in part"])
def test_memory_stays_flat(spooling, framing: str, most: str) -> None:
    server = spooling("--request-spool", most)
    block = os.urandom(MEGABYTE)
    fields = (
        ("Content-Length", str(100 * MEGABYTE)) if framing == "length" else ("Transfer-Encoding", "chunked")
    )
    with Connection(server.address, timeout=60) as client:
        client.send(encode("POST", "/bodies/digest", fields))
        for _ in range(100):
            client.send(block if framing == "length" else b"%x\r\n%s\r\n" % (len(block), block))
        client.send(b"" if framing == "length" else chunked())
        told = json.loads(client.response().body)
    assert (told["length"], told["sha256"]) == (100 * MEGABYTE, hashlib.sha256(block * 100).hexdigest())
    assert told["peak"] < 80_000


@FRAMINGS
def test_the_connection_goes_on_after_it(spooling, framing: str) -> None:
    server = spooling("-k", "gthread")
    body = b"line\n" * MEGABYTE
    with Connection(server.address, timeout=30) as client:
        for target in ("/bodies/digest", "/bodies/unread"):
            client.send(upload(target, body, framing) + encode("GET", "/hello/app"))
            assert client.response().status == 200
            assert client.response().body == b"hello\n"


@FRAMINGS
def test_the_limits_hold(spooling, framing: str) -> None:
    server = spooling("--limit-request-body", str(2 * MEGABYTE), "--request-body-timeout", "1")
    (worker,) = server.wait_workers(1)
    body = bytes(3 * MEGABYTE)
    assert send(server, upload("/bodies/digest", body, framing)).status == 413
    allowed = upload("/bodies/digest", body[: 2 * MEGABYTE], framing)
    assert send(server, allowed).status == 200
    assert send(server, allowed[:-1000]).status == 408
    assert server.workers() == [worker]


def refused(server: Running, reason: str) -> None:
    """A large upload gets 503 and the log has the reason; a small one is served before and after."""
    (worker,) = server.wait_workers(1)
    small = upload("/bodies/digest", bytes(1000), "length")
    for framing in ("length", "chunked"):
        assert send(server, small).status == 200
        response = send(server, upload("/bodies/digest", bytes(4 * MEGABYTE), framing))
        assert (response.status, response.value("Retry-After")) == (503, "1")
    assert send(server, small).status == 200
    log = server.wait_log("Cannot keep a large body in")
    assert reason in log and "(request_spool)" in log
    assert log.count("Cannot keep a large body in") == 1, "what lasts is not told for each"
    assert server.workers() == [worker]


def test_a_limit_of_files_costs_one_request(spooling) -> None:
    server = spooling()
    (worker,) = server.wait_workers(1)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE))
    refused(server, "lower request_spool")


@contextmanager
def mounted(directory: Path, size: str) -> Iterator[None]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "rwsgi-test", str(directory)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_full_disk_costs_one_request(spooling, tmp_path: Path) -> None:
    directory = tmp_path / "uploads"
    server = None
    with ExitStack() as stack:
        directory.mkdir(exist_ok=True)
        stack.enter_context(mounted(directory, "2M"))
        server = spooling()
        refused(server, "Make room there")
        fitting = upload("/bodies/digest", bytes(MEGABYTE + 100_000), "length")
        # What was written of the others is given back.
        assert send(server, fitting).status == 200


def test_exhausted_descriptors_cost_one_request(spooling) -> None:
    server = spooling()
    (worker,) = server.wait_workers(1)
    body = bytes(3 * MEGABYTE)
    request = upload("/bodies/digest", body, "length")
    with Connection(server.address) as client:
        client.send(request[:1000])
        # It has been accepted when a later one was answered.
        assert fetch(server.address, "/hello/app").status == 200
        before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        with ExitStack() as stack:

            def none_is_free() -> bool:
                """Connections take the numbers that others leave, the one of the answer above among them."""
                stack.enter_context(Connection(server.address)).send(b"GET")
                numbers = sorted(int(number) for number in os.listdir(f"/proc/{worker}/fd"))
                return numbers == list(range(len(numbers)))

            eventually(none_is_free, "no number is free")
            most = len(os.listdir(f"/proc/{worker}/fd"))
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (most, before[1]))
            client.send(request[1000:])
            assert client.response().status == 503
        resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
    assert "Raise the limit of open files" in server.wait_log("(request_spool)")
    assert send(server, request).status == 200
    assert server.workers() == [worker]


def test_a_directory_that_is_not_there_is_told_at_the_start(serve, tmp_path: Path) -> None:
    env = {"RWSGI_TMP_UPLOAD_DIR": str(tmp_path / "absent")}
    server = serve(*SPOOL, app="cases:app", env=env)
    log = server.wait_log("tmp_upload_dir")
    assert "[WARNING]" in log and "No such file or directory" in log
    assert fetch(server.address, "/hello/app").status == 200
