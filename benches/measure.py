"""One round: a server is started, checked, struck, measured and ended.

Owns the processes of a round and what is read about them: CPU from the scheduler's nanoseconds of every
thread, memory as the proportional share of every process, rate and latency from what strikes, wrk or
echoes.c, which tell them alike. The server is pinned to one CPU and what strikes to another. A server that
answers wrongly, or starves most of the connections, is found out.
Must never leave a process behind, nor give a figure of a round with errors without saying so.
Read next: compare.py, the order of the rounds; report.py.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from compiled import compiled
from loads import APPS, UPLOAD, Load
from peers import Peer

SERVER_CPU, CLIENT_CPU = 0, 1
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Server:
    """The process is its session's leader."""

    process: subprocess.Popen[bytes]
    port: int
    # Where it runs, and where what strikes it is compiled.
    directory: Path
    # Its answers have no length; wrk counts an error for each of them although it read it whole.
    ends_by_closing: bool = False


class Failed(Exception):
    """The server does not start, answers wrongly, or is gone."""


class Refused(Failed):
    """The server does not support what it was asked for: its exit status was 1 or 2 before it listened."""


@dataclass(frozen=True)
class Round:
    """CPU in µs a request, latencies in ms, memory in MiB; None where nothing was answered."""

    error: str = ""
    cpu: float | None = None
    rate: float | None = None
    p50: float | None = None
    p99: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class Strike:
    """What was seen from the other end."""

    requests: int
    rate: float
    mean: float
    p50: float
    p99: float
    error: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def session(leader: int) -> Iterator[Path]:
    """The live processes of a session, in /proc."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            if entry.name.isdecimal() and int(stat(entry)[3]) == leader:
                yield entry


def stat(process: Path) -> list[str]:
    return (process / "stat").read_text().rpartition(")")[2].split()


def session_cpu(leader: int) -> float:
    """Seconds of CPU that the live processes of a session have used, all their live threads included."""
    total = 0
    for process in session(leader):
        for path in process.glob("task/*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(path.read_text().split()[0])
    return total / 1e9


def session_memory(leader: int) -> float:
    """MiB; what processes share is counted once."""
    kilobytes = 0
    for process in session(leader):
        with contextlib.suppress(OSError):
            kilobytes += int(re.search(r"^Pss: +(\d+)", (process / "smaps_rollup").read_text(), re.M)[1])
    return kilobytes / 1024


def wait_listening(process: subprocess.Popen[bytes], port: int, log: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = process.poll()
        if status is not None:
            # The last line says why, here and with most others.
            last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise (Refused if status in (1, 2) else Failed)(f"exit status {status}: {last}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)  # between two looks
    raise Failed(f"does not listen after {seconds:.0f} s")


def check(load: Load, server: Server) -> bool:
    """The first answer has to be the right one. Tells whether only the connection's end ends it."""
    if load.websocket:
        found = errors(struck(load, server, 0))
        if found:
            raise Failed(f"answers wrongly: {', '.join(found)}")
        return False
    return check_response(load, server.port)


def check_response(load: Load, port: int, seconds: float = 10) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    fields = dict(field.split(": ", 1) for field in load.fields)
    try:
        connection.request("POST" if load.uploads else "GET", "/", UPLOAD if load.uploads else None, fields)
        response = connection.getresponse()
        length = len(response.read())
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"does not answer: {error!r}") from error
    finally:
        connection.close()
    if (response.status, length) != (200, load.answer):
        raise Failed(f"answers wrongly: status {response.status}, {length} bytes instead of {load.answer}")
    return not response.chunked and response.getheader("Content-Length") is None


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks, and does not wait long: how servers stop is not measured here."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2)
    for left in list(session(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(left.name), signal.SIGKILL)
    process.wait()


def launch(command: list[str], directory: Path, pinned: bool = True) -> subprocess.Popen[bytes]:
    """In a session of its own, with the applications to import, and its output in the file `log`."""
    # Whoever stops a benchmark must not have to stop its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            [*(["taskset", "-c", str(SERVER_CPU)] if pinned else []), *command],
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(APPS)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@contextmanager
def serving(peer: Peer, load: Load, directory: Path) -> Iterator[Server]:
    """A running server that answers right."""
    port = free_port()
    process = launch(peer.command(load, port), directory)
    try:
        wait_listening(process, port, directory / "log")
        server = Server(process, port, directory)
        yield replace(server, ends_by_closing=check(load, server))
    finally:
        end(process)


def striker(load: Load, server: Server, seconds: int) -> list[str]:
    """What strikes, and its arguments. In no seconds echoes.c sends one message a connection."""
    if load.websocket:
        program = str(compiled("echoes", server.directory))
        return [program, str(server.port), str(load.connections), str(seconds)]
    words = [word for field in load.fields for word in ("-H", field)]
    words += ["-s", str(load.script)] if load.script else []
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency", *words]
    return [*command, f"http://127.0.0.1:{server.port}/"]


def struck(load: Load, server: Server, seconds: int) -> str:
    command = ["taskset", "-c", str(CLIENT_CPU), *striker(load, server, seconds)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise Failed(outcome.stderr.strip() or f"{command[3]} has ended with status {outcome.returncode}")
    return outcome.stdout


def milliseconds(output: str, label: str) -> float:
    found = re.search(rf"^ +{label} +([\d.]+)(us|ms|s|m)", output, re.M)
    return float(found[1]) * SECONDS[found[2]] * 1e3 if found else 0.0


def errors(output: str) -> list[str]:
    found = re.findall(r"(connect|read|write|timeout) ([1-9]\d*)", output)
    return [f"{kind} {count}" for kind, count in found] + [
        f"{count} not 2xx" for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", output)
    ]


def strike(load: Load, server: Server, seconds: int) -> Strike:
    output = struck(load, server, seconds)
    requests = int(re.search(r"(\d+) requests in", output)[1])
    rate = float(re.search(r"Requests/sec: +([\d.]+)", output)[1])
    mean = milliseconds(output, "Latency")
    found = [error for error in errors(output) if not (server.ends_by_closing and error.startswith("read"))]
    # Little's law: what is under way is the rate times the time it takes. They send again at once.
    if not found and rate * mean / 1e3 < load.connections / 4:
        found.append(f"served {rate * mean / 1e3:.0f} of {load.connections} connections, starved the others")
    return Strike(
        requests, rate, mean, milliseconds(output, "50%"), milliseconds(output, "99%"), ", ".join(found)
    )


def take(peer: Peer, load: Load, directory: Path, seconds: int, warm: bool) -> Round:
    with serving(peer, load, directory) as server:
        if warm:
            strike(load, server, 1)
        process = server.process
        before = session_cpu(process.pid)
        seen = strike(load, server, seconds)
        spent = session_cpu(process.pid) - before
        memory = session_memory(process.pid)
        if process.poll() is not None:
            raise Failed(f"ended under load with status {process.returncode}")
    if not seen.requests:
        return Round(seen.error or "answered nothing")
    return Round(seen.error, spent * 1e6 / seen.requests, seen.rate, seen.p50, seen.p99, memory)


def measure(peer: Peer, load: Load, directory: Path, seconds: int, warm: bool) -> Round:
    """A round; what goes wrong in it is its error. Raises Refused for a server that will never do it."""
    try:
        return take(peer, load, directory, seconds, warm)
    except Refused:
        raise
    except Failed as failure:
        return Round(str(failure))
