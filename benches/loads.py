"""What is asked of every server, and what the right answer is.

Owns the loads: an application of apps/, a request, how many connections send it, and how many threads the
server gets. Must not know any server by name. Read next: peers.py, who is asked; measure.py, how.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from compiled import compiler

APPS = Path(__file__).resolve().parent / "apps"
UPLOAD = b"x" * 65_536
HELLO = "bench_app:hello"
CLOSE = ("Connection: close",)
# What a current browser sends with a click on a link of a site that it knows.
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Cache-Control: max-age=0",
    "Cookie: sessionid=k3n1q6o8x2v9r7t5y4u0i2p8a6s4d1f3; csrftoken=Zx81mQe0Wb5Lr92TnVc7Ks46Jd3Fh1Gp; "
    "theme=dark",
    "Referer: https://www.example.org/catalogue/page/17?sort=price&order=asc",
    'Sec-CH-UA: "Chromium";v="140", "Not=A?Brand";v="24"',
    "Sec-CH-UA-Mobile: ?0",
    'Sec-CH-UA-Platform: "Linux"',
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Upgrade-Insecure-Requests: 1",
)


@dataclass(frozen=True)
class Load:
    """`key` is what --loads takes; `answer` is the number of bytes that a right body has."""

    key: str
    name: str
    answer: int
    app: str = HELLO
    fields: tuple[str, ...] = ()
    connections: int = 16
    # More than one: only for the servers that have threads or greenlets, unless `also_without_threads`.
    threads: int = 1
    also_without_threads: bool = False
    uploads: bool = False
    # wrk's, in Lua.
    script: Path | None = None
    # The package that the application needs.
    needs: str = ""
    # Of what kind the application is: a server has to take it.
    interface: str = "wsgi"
    # Of messages, each with its echo: one counts as a request. echoes.c sends them instead of wrk.
    websocket: bool = False
    # Worth a place in the picture: where CPU per request is the question.
    pictured: bool = True

    @property
    def closes(self) -> bool:
        return CLOSE[0] in self.fields

    @property
    def constant(self) -> bool:
        """Whether the bare loop in C can give the answer."""
        return self.app == HELLO and self.threads == 1 and self.interface == "wsgi"

    def missing(self) -> str:
        if self.websocket and compiler() is None:
            return "gcc"
        return self.needs if self.needs and find_spec(self.needs) is None else ""


LOADS = [
    Load("hello", "hello, keep-alive", 13),
    Load("browser", "hello, a browser's 15 fields", 13, fields=BROWSER),
    Load("close", "hello, a connection per request", 13, fields=CLOSE),
    Load("thousand", "hello, 1,000 connections", 13, connections=1000),
    Load("body", "100 KB body", 102_400, "bench_app:body"),
    Load("generator", "generator, 64 x 4 KB", 64 * 4096, "bench_app:generator"),
    Load("upload", "64 KB upload", 5, "bench_app:upload", uploads=True, script=APPS / "upload.lua"),
    Load("file", "wsgi.file_wrapper, 1 MB", 1 << 20, "bench_app:file"),
    Load("flask", "Flask, JSON", 28, "bench_flask:app", needs="flask"),
    Load("django", "Django, JSON", 28, "bench_django:app", needs="django"),
    Load(
        "sleep", "10 ms of sleep, 8 threads", 13, "bench_app:sleep", connections=32, threads=8, pictured=False
    ),
    Load(
        "second",
        "1 s of sleep, 50 at a time",
        13,
        "bench_app:second",
        connections=50,
        threads=50,
        pictured=False,
    ),
    Load(
        "compute",
        "1 ms of Python, 8 threads or none",
        13,
        "bench_app:compute",
        threads=8,
        also_without_threads=True,
        pictured=False,
    ),
    Load("hello-threads", "hello, keep-alive, 8 threads", 13, threads=8),
    Load(
        "flask-threads",
        "Flask, JSON, 8 threads, 32 connections",
        28,
        "bench_flask:app",
        needs="flask",
        threads=8,
        connections=32,
    ),
    Load(
        "tornado-hello",
        "tornado: hello, keep-alive",
        13,
        "bench_tornado:app",
        needs="tornado",
        interface="tornado",
        pictured=False,
    ),
    Load("asgi-hello", "ASGI: hello, keep-alive", 13, "bench_asgi:hello", interface="asgi", pictured=False),
    Load("asgi-json", "ASGI: JSON", 28, "bench_asgi:json", interface="asgi", pictured=False),
    Load(
        "asgi-stream",
        "ASGI: stream, 64 x 4 KB",
        64 * 4096,
        "bench_asgi:stream",
        interface="asgi",
        pictured=False,
    ),
    Load(
        "asgi-upload",
        "ASGI: 64 KB upload",
        5,
        "bench_asgi:upload",
        uploads=True,
        script=APPS / "upload.lua",
        interface="asgi",
        pictured=False,
    ),
    Load(
        "asgi-websocket",
        "ASGI: WebSocket, echo, 100 connections",
        13,
        "bench_asgi:echo",
        connections=100,
        interface="asgi",
        websocket=True,
        pictured=False,
    ),
]
