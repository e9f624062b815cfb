"""Clients of the soak: a steady rate of requests, a new connection each, every one recorded and judged.

Owns the client processes, their records (when a request began, how long it took, how it ended) and what
counts as a failure: the kernel took the connection and no whole answer came, or nobody listened although the
service was not told to stop. A latency counts from the connect to the last byte of the answer. Must never
retry, nor catch up after a stall: the rate is an upper bound. Read next: soak.py, what happens meanwhile.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Event

from client import Address, Connection, encode

OK, REFUSED = "ok", "refused"
REQUEST = encode("GET", "/", ("Connection", "close"))
# Nothing here takes this long: a request that does hangs.
HANG = 10.0
LONGEST_STALL = 0.1
context = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Record:
    start: float
    latency: float
    outcome: str
    # How much later than it asked for the client was woken up for it: the machine's part in any latency.
    lateness: float


def answered(connection: Connection) -> str:
    connection.send(REQUEST)
    response = connection.response()
    return OK if response.status == 200 and response.body == b"soak\n" else f"status {response.status}"


def outcome(address: Address) -> str:
    """`refused` only when there was no connection: one that the kernel took must be answered."""
    try:
        connection = Connection(address, HANG)
    except ConnectionRefusedError:
        return REFUSED
    except OSError as error:
        return f"connect: {error!r}"
    with connection:
        try:
            return answered(connection)
        except (OSError, AssertionError) as error:
            return repr(error)


def shoot(address: Address, interval: float, stop: Event, sink: Pipe) -> None:
    gc.disable()
    records, due = [], time.monotonic()
    while not stop.is_set():
        start = time.monotonic()
        result = outcome(address)
        records.append((start, time.monotonic() - start, result, start - due))
        due = max(due + interval, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    sink.send(records)
    sink.close()


class Load:
    """`clients` processes that together send `rate` requests a second until `finish`."""

    def __init__(self, address: Address, clients: int, rate: float):
        self.stop = context.Event()
        self.pipes = []
        self.processes = []
        for _ in range(clients):
            source, sink = context.Pipe(duplex=False)
            process = context.Process(
                target=shoot, args=(address, clients / rate, self.stop, sink), daemon=True
            )
            process.start()
            sink.close()
            self.pipes.append(source)
            self.processes.append(process)

    def finish(self) -> list[Record]:
        """What happened to every request, in the order of their starts."""
        self.stop.set()
        records = [Record(*fields) for source in self.pipes for fields in source.recv()]
        for process in self.processes:
            process.join()
        return sorted(records, key=lambda record: record.start)


@dataclass
class Result:
    """What the clients saw during one scenario."""

    requests: int = 0
    stall: float = 0.0
    noise: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    # Why the scenario itself did not come to its end.
    broken: str = ""

    @property
    def failed(self) -> int:
        return self.failures.total()

    def holds(self) -> bool:
        return not self.failed and not self.broken and self.stall <= LONGEST_STALL + self.noise


def judge(records: list[Record], stops: bool) -> Result:
    fine = (OK, REFUSED) if stops else (OK,)
    served = [record for record in records if record.outcome != REFUSED or not stops]
    return Result(
        requests=len(served),
        stall=max((record.latency for record in served), default=0.0),
        noise=max((record.lateness for record in records), default=0.0),
        failures=Counter(record.outcome for record in served if record.outcome not in fine),
    )
