"""What reloads, upgrades, resizing, recycling and stops cost the clients, beside gunicorn in the same run.

Owns the scenarios, the table and the bounds. The application takes two seconds to import, as real ones do,
and a millisecond to answer; clients come at a steady rate, each request on a connection of its own, and every
one is recorded. Exit status 1 when rwsgi breaks a bound: no request may fail, none may take longer than
100 ms (and what the machine kept an idle client waiting), and thousands of dead workers may leave nothing
behind in the master. gunicorn has no bounds here.
Run by `make soak`; --help tells the options. Read next: soak_load.py, soak_deaths.py, ../tests/server.py.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import soak_deaths
from server import GUNICORN, RWSGI, Kind, Running, children, eventually, free_port, launch, scratch
from soak_load import Load, Result, judge

# Of all scenarios together; reached only when something hangs.
BOUND_SECONDS = 115
WORKERS, CLIENTS, RATE = 3, 4, 600
IMPORT_SECONDS = 2
APP = f"""
import os
import time

time.sleep({IMPORT_SECONDS})
with open("imported", "a") as file:
    file.write(f"{{os.getpid()}}\\n")


def app(environ, start_response):
    time.sleep(0.001)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"soak\\n"]
"""


def start(kind: Kind, directory: Path, source: str, *arguments: str) -> Running:
    home = scratch(directory)
    (home / "soak_app.py").write_text(source)
    address = ("127.0.0.1", free_port())
    words = ["--bind", f"127.0.0.1:{address[1]}", *arguments]
    running = Running(kind, launch(kind, words, home, cwd=home), address, home)
    eventually(running.listening, f"{kind.name} listens")
    return running


class Service:
    """A server under load, and the master that is in charge of it at the moment."""

    def __init__(self, kind: Kind, directory: Path, *arguments: str):
        words = ("-w", str(WORKERS), "-p", "pid", *arguments, "soak_app:app")
        self.running = start(kind, directory, APP, *words)
        self.home = self.running.home
        self.master = self.running.pid
        self.wait_ready(WORKERS)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.master, number)

    def read_pid(self, name: str) -> int | None:
        try:
            return int((self.home / name).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def wait_ready(self, count: int, unlike: list[int] | None = None, master: int | None = None) -> list[int]:
        """Waits for just `count` workers, all done with the import and none of them in `unlike`."""

        def ready() -> list[int] | bool:
            imported = (self.home / "imported").read_text().split()
            workers = [pid for pid in children(master or self.master) if pid != self.read_pid("pid.2")]
            new = all(str(pid) in imported and pid not in (unlike or []) for pid in workers)
            return len(workers) == count and new and workers

        (self.home / "imported").touch()
        return eventually(ready, f"{count} workers that are ready, none of {unlike or []}", 12)


def master_memory(service: Service) -> tuple[int, int]:
    """Resident and proportional kilobytes."""
    lines = Path(f"/proc/{service.master}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return sizes["Rss"], sizes["Pss"]


def control(service: Service) -> None:
    # Nothing is done to it: what the machine itself costs, over as long as another scenario takes.
    time.sleep(4)


def reload(service: Service) -> None:
    for _ in range(5):
        before = service.wait_ready(WORKERS)
        service.send(signal.SIGHUP)
        service.wait_ready(WORKERS, unlike=before)


def upgrade(service: Service) -> None:
    old = service.running
    service.send(signal.SIGUSR2)
    new = eventually(lambda: service.read_pid("pid.2"), "the new master has written pid.2")
    service.wait_ready(WORKERS, master=new)
    service.send(signal.SIGTERM)
    assert old.wait_exit() == 0
    service.master = new
    eventually(lambda: service.read_pid("pid") == new, "the pid file is the new master's")
    eventually(lambda: not (service.home / "pid.2").exists(), "pid.2 is gone")


def resize(service: Service) -> None:
    for more in range(1, 4):
        service.send(signal.SIGTTIN)
        eventually(lambda more=more: len(children(service.master)) == WORKERS + more, "TTIN adds a worker")
    service.wait_ready(WORKERS + 3)
    for fewer in range(2, -1, -1):
        service.send(signal.SIGTTOU)
        service.wait_ready(WORKERS + fewer)


def recycle(service: Service) -> None:
    def recycled() -> int:
        return service.running.stderr.count("Autorestarting worker after current request.")

    before = recycled()
    eventually(lambda: recycled() >= before + 2 * WORKERS, "workers are recycled", 30)


def terminate(service: Service) -> None:
    service.send(signal.SIGTERM)
    if service.master == service.running.pid:
        assert service.running.wait_exit() == 0
    eventually(lambda: not service.running.descendants(), "all processes are gone")
    # Whatever is still on its way to a port that nobody has any more.
    time.sleep(0.3)


# In the order of the table.
LIFE = {
    "no signal": control,
    "HUP, five times": reload,
    "USR2, TERM to the old": upgrade,
    "TTIN and TTOU x 3": resize,
    "TERM": terminate,
}
RECYCLING = {"recycling": recycle, "TERM while recycling": terminate}
STOPS = ("TERM", "TERM while recycling")


def attempt(scenario: Callable[[Service], None], service: Service) -> str:
    try:
        scenario(service)
    except (AssertionError, OSError) as failure:
        return str(failure).splitlines()[0]
    return ""


def soak(
    kind: Kind, directory: Path, scenarios: dict[str, Callable[[Service], None]], *arguments: str
) -> tuple[dict[str, Result], tuple[int, int]]:
    """Runs the scenarios one after the other under one load. Also the memory of the master before it."""
    service = Service(kind, directory, *arguments)
    memory = master_memory(service)
    load = Load(service.running.address, CLIENTS, RATE)
    spans, broken = {}, {}
    try:
        for name, scenario in scenarios.items():
            begin = time.monotonic()
            broken[name] = attempt(scenario, service)
            spans[name] = (begin, time.monotonic())
    finally:
        records = load.finish()
        broken[name] = broken.get(name) or attempt(lambda service: service.running.clean_up(), service)
    results = {}
    for name, (begin, end) in spans.items():
        during = [record for record in records if begin <= record.start + record.latency < end]
        results[name] = judge(during, name in STOPS)
        results[name].broken = broken[name]
    return results, memory


def cell(result: Result) -> str:
    stall, noise = (f"{seconds * 1000:.0f} ms" for seconds in (result.stall, result.noise))
    return f"{result.requests:>9} {result.failed:>7} {stall:>8} {noise:>7}"


def table(results: dict[str, dict[str, Result]]) -> str:
    """`noise` is the most that an idle client was late by, which is the machine's doing."""
    names = list(next(iter(results.values())))
    columns = f" | {'requests':>9} {'failed':>7} {'longest':>8} {'noise':>7}" * len(results)
    lines = [f"{'':<22}" + "".join(f" | {kind:^34}" for kind in results), f"{'':<22}{columns}"]
    for name in names:
        lines.append(f"{name:<22}" + "".join(f" | {cell(result[name])}" for result in results.values()))
    return "\n".join(lines)


def notes(results: dict[str, dict[str, Result]]) -> list[str]:
    """What the numbers do not say."""
    lines = []
    for kind, scenarios in results.items():
        for name, result in scenarios.items():
            lines += [f"{kind}, {name}: {result.broken}"] if result.broken else []
            lines += [f"{kind}, {name}: {n} x {what}" for what, n in result.failures.most_common(3)]
    return lines


def deaths(kind: Kind, directory: Path, count: int, seconds: float) -> soak_deaths.Deaths:
    workers = str(soak_deaths.WORKERS)
    running = start(kind, directory, soak_deaths.APP, "-w", workers, "soak_app:die")
    try:
        return soak_deaths.run(running, count, seconds)
    finally:
        running.clean_up()


def expired(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"the soak took more than {BOUND_SECONDS} s")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=(RWSGI.name, GUNICORN.name), help="one server only")
    parser.add_argument("--max-requests", type=int, default=300, help="of a worker that is recycled")
    parser.add_argument("--deaths", type=int, default=3000)
    parser.add_argument("--death-seconds", type=float, default=20, help="bound on the deaths of rwsgi")
    parser.add_argument("extra", nargs="*", help="arguments for both servers, after `--`")
    return parser.parse_args()


def masters(sizes: dict[str, tuple[int, int]]) -> list[str]:
    base = next(iter(sizes.values()))
    return [
        f"master of {name}: RSS {rss} KiB ({rss / base[0]:.2f}x), PSS {pss} KiB ({pss / base[1]:.2f}x)"
        for name, (rss, pss) in sizes.items()
    ]


def scenarios(kinds: list[Kind], directory: Path, max_requests: int, extra: list[str]) -> bool:
    """Runs and prints them; whether rwsgi kept its bounds."""
    recycling = ("--max-requests", str(max_requests), "--max-requests-jitter", str(max_requests // 5))
    results, sizes = {}, {}
    for kind in kinds:
        results[kind.name], sizes[kind.name] = soak(kind, directory, LIFE, *extra)
        results[kind.name] |= soak(kind, directory, RECYCLING, *recycling, *extra)[0]
    print(table(results), *notes(results), *masters(sizes), sep="\n")
    return all(result.holds() for result in results.get(RWSGI.name, {}).values())


def all_deaths(kinds: list[Kind], directory: Path, count: int, seconds: float) -> bool:
    """Runs and prints them; whether the master of rwsgi was left as it was."""
    clean = True
    for kind in kinds:
        died = deaths(kind, directory, count, seconds if kind is RWSGI else seconds / 5)
        print(f"deaths of workers of {kind.name}: {died.describe()}")
        clean &= kind is not RWSGI or not died.leaks()
    return clean


def main() -> int:
    options = arguments()
    kinds = [kind for kind in (RWSGI, GUNICORN) if options.only in (None, kind.name)]
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(BOUND_SECONDS)
    try:
        with tempfile.TemporaryDirectory(prefix="rwsgi-soak-") as name:
            directory = Path(name)
            holds = scenarios(kinds, directory, options.max_requests, options.extra)
            holds &= all_deaths(kinds, directory, options.deaths, options.death_seconds)
    except TimeoutError as error:
        print(f"{error}: something hangs, or the machine is too busy", file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
    if not holds:
        print("rwsgi broke a bound: a failed request, one over 100 ms, or something left behind by the dead")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
