"""CPU per request of rwsgi beside other servers, in the same run on the same machine.

Owns the loads, the peers and the measure: microseconds of CPU that all processes of a server spent, divided
by the requests it answered. The server is pinned to CPU 0 and wrk to CPU 1; rounds alternate between the
servers, so that a change of the machine's mood hits them all. Must never compare numbers of different runs.
Run by `make bench`; --help tells the options. A peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.prefix) / "bin"
SERVER_CPU, CLIENT_CPU = 0, 1
APP = """
def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
"""


@dataclass(frozen=True)
class Load:
    """What is asked of every server: an application, and wrk's extra arguments."""

    name: str
    app: str
    path: str = "/"
    fields: tuple[str, ...] = ()
    connections: int = 16


@dataclass(frozen=True)
class Peer:
    """A server; `command` gets {program}, {port} and {app}."""

    name: str
    program: str
    command: str


LOADS = [
    Load("hello, a connection per request", "hello", fields=("Connection: close",)),
]
PEERS = [
    Peer("rwsgi sync", "rwsgi", "{program} -b 127.0.0.1:{port} -w 1 --log-level warning bench_app:{app}"),
    Peer(
        "gunicorn sync",
        "gunicorn",
        "{program} -b 127.0.0.1:{port} -w 1 --log-level warning --no-control-socket bench_app:{app}",
    ),
    Peer(
        "granian",
        "granian",
        "{program} --interface wsgi --host 127.0.0.1 --port {port} --no-access-log bench_app:{app}",
    ),
    Peer(
        "uWSGI",
        "uwsgi",
        "{program} --http-socket 127.0.0.1:{port} --master --disable-logging --module bench_app:{app}",
    ),
    Peer("waitress", "waitress-serve", "{program} --listen 127.0.0.1:{port} --threads 1 bench_app:{app}"),
]

RWSGI = "{program} -b 127.0.0.1:{port} -w 1 --log-level warning"
# What logging costs: the first without, and nobody listens on the port of syslog and statsd.
LOGGING = [
    Peer(name, "rwsgi", f"{RWSGI} {flags} bench_app:{{app}}")
    for name, flags in [
        ("rwsgi sync", ""),
        ("access log", "--access-logfile access"),
        ("JSON log", "--access-logfile access --access-logformat json"),
        ("request id", "--request-id"),
        ("statsd", "--statsd-host 127.0.0.1:9"),
        ("syslog", "--log-syslog --log-syslog-to udp://127.0.0.1:9"),
    ]
]


@dataclass(frozen=True)
class Result:
    cpu: float
    rate: float


def program(peer: Peer) -> str | None:
    override = os.environ.get(f"{peer.program.upper()}_BIN")
    return override or (str(BIN / peer.program) if (BIN / peer.program).exists() else None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def session_cpu(session: int) -> float:
    """Seconds of CPU that the live processes of a session have used, all their threads included."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    total += sum(int(path.read_text().split()[0]) for path in entry.glob("task/*/schedstat"))
            except (OSError, IndexError):
                continue
    return total / 1e9


def wait_listening(port: int, process: subprocess.Popen[bytes], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                probe.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if probe.recv(1):
                    return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not answer")


@contextmanager
def serving(peer: Peer, load: Load, directory: Path) -> Iterator[tuple[int, int]]:
    """A running server: its session (the leader's pid) and its port."""
    port = free_port()
    words = peer.command.format(program=program(peer), port=port, app=load.app).split()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CPU), *words],
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(directory)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_listening(port, process)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def strike(load: Load, port: int, seconds: int) -> tuple[int, float]:
    """Requests that wrk had answered, and the rate; any error spoils the round."""
    fields = [word for field in load.fields for word in ("-H", field)]
    url = f"http://127.0.0.1:{port}{load.path}"
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", *fields, url]
    output = subprocess.run(
        ["taskset", "-c", str(CLIENT_CPU), *command], capture_output=True, text=True, check=True
    ).stdout
    answered = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", output)
    if answered is None or "Non-2xx" in output or re.search(r"(connect|read|write) [1-9]", output):
        raise RuntimeError(f"wrk met errors:\n{output}")
    return int(answered[1]), float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def measure(peer: Peer, load: Load, directory: Path, seconds: int) -> Result:
    with serving(peer, load, directory) as (session, port):
        strike(load, port, 1)
        before = session_cpu(session)
        answered, rate = strike(load, port, seconds)
        return Result((session_cpu(session) - before) * 1e6 / answered, rate)


def table(load: Load, results: dict[str, list[Result]]) -> str:
    first = next(iter(results))
    base = statistics.median(result.cpu for result in results[first])
    lines = [
        f"{load.name}",
        f"{'server':<16} {'µs CPU/request':>15} {'min-max':>15} {'requests/s':>11} {'CPU of ' + first:>18}",
    ]
    for name, rounds in results.items():
        cpu = [result.cpu for result in rounds]
        middle, rate = statistics.median(cpu), statistics.median(result.rate for result in rounds)
        span = f"{min(cpu):.1f}-{max(cpu):.1f}"
        lines.append(f"{name:<16} {middle:>15.1f} {span:>15} {rate:>11.0f} {middle / base:>17.2f}x")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each round")
    parser.add_argument(
        "--only", action="append", help="a server to run (repeatable), by the start of its name"
    )
    parser.add_argument(
        "--at-most", type=float, help="fail unless the first server needs at most this share of gunicorn's"
    )
    parser.add_argument("--logs", action="store_true", help="compare what rwsgi logs instead of servers")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if not shutil.which("wrk") or not shutil.which("taskset"):
        print("wrk and taskset are needed (apt-get install wrk util-linux)", file=sys.stderr)
        return 2
    peers = [peer for peer in (LOGGING if options.logs else PEERS) if program(peer)]
    if options.only:
        peers = [peer for peer in peers if any(peer.name.startswith(name) for name in options.only)]
    too_slow = False
    for load in LOADS:
        results: dict[str, list[Result]] = {peer.name: [] for peer in peers}
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "bench_app.py").write_text(APP)
            for _ in range(options.rounds):
                for peer in peers:
                    results[peer.name].append(measure(peer, load, Path(directory), options.seconds))
        print(table(load, results), end="\n\n")
        middles = {
            name: statistics.median(result.cpu for result in rounds) for name, rounds in results.items()
        }
        if options.at_most:
            too_slow |= middles["rwsgi sync"] > options.at_most * middles["gunicorn sync"]
    return int(too_slow)


if __name__ == "__main__":
    sys.exit(main())
