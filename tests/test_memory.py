"""What a worker costs beside the application it serves."""

import subprocess
import sys
from pathlib import Path

from client import fetch
from server import APPS, environment


def resident(pid: int) -> int:
    """Kilobytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def test_a_worker_is_within_5_mb_of_bare_python(serve, tmp_path: Path) -> None:
    server = serve()
    for _ in range(50):
        fetch(server.address)
    (worker,) = server.wait_workers(1)
    code = "import hello; print(flush=True); input()"
    bare = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=APPS,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with bare:
        assert bare.stdout and bare.stdin
        bare.stdout.readline()
        alone = resident(bare.pid)
        bare.stdin.close()
    assert resident(worker) - alone < 5 * 1024


def test_memory_does_not_grow_with_requests(serve) -> None:
    server = serve(app="cases:app")
    (worker,) = server.wait_workers(1)
    targets = [
        "/hello/app",
        "/bodies/echo",
        "/iterables/generator",
        "/misuse/raises",
        "/iterables/large?500000",
    ]

    def rounds(count: int) -> int:
        for _ in range(count):
            for target in targets:
                fetch(server.address, target, method="POST", body=b"x" * 10_000)
        return resident(worker)

    warm = rounds(40)
    assert rounds(200) - warm < 1024
