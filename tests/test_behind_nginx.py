"""rwsgi behind a real nginx, configured as deploy/nginx.conf tells users to.

Owns an nginx of the tests' own: its configuration, its one process, its end. Must never touch the machine's.
Read next: apps/proxied.py, which is served.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from client import DEADLINE, Connection, encode, fetch
from server import HERE, Running, eventually, free_port
from websockets.sync.client import connect

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian's package nginx-light)")

SITE = (HERE.parent / "deploy" / "nginx.conf").read_text()
CLASSES = {
    "sync": ("-k", "sync"),
    "gthread": ("-k", "gthread", "--threads", "4"),
    "gevent": ("-k", "gevent"),
    "eventlet": ("-k", "eventlet"),
    "tornado": ("-k", "tornado"),
    "asgi": ("-k", "asgi"),
}
AS_TOLD = ("--keep-alive", "75", "--trust-forwarded-header")
# One process, so that one pid ends it; what it stores stays in its directory (its prefix).
FRAME = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log warn;
{modules}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {site}
}}
{stream}
"""
STREAM = "stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass unix:{socket}; proxy_protocol on; }} }}"


@dataclass
class Site:
    """A server and the nginx in front of it. What `load` of conftest.py wants of a server is here too."""

    server: Running
    address: tuple[str, int]
    home: Path

    @property
    def errors(self) -> str:
        return (self.home / "error.log").read_text()


def site_of(socket: str, port: int) -> str:
    """The site that users are given, beside /direct/, where nothing is buffered."""
    site = SITE.replace("/run/rwsgi.sock", socket).replace("listen 80;", f"listen 127.0.0.1:{port};")
    # TLS ends here, for all that the application can tell.
    site = site.replace("$scheme", "https")
    location = re.search(r"location / \{.*?\n    \}\n", site, re.S).group()
    assert f"listen 127.0.0.1:{port};" in site and f"unix:{socket};" in site and "proto=https" in site
    direct = location.replace("location /", "location /direct/").replace("//rwsgi;", "//rwsgi/;")
    unbuffered = "{\n        proxy_buffering off;\n        proxy_request_buffering off;"
    return site.replace(location, location + direct.replace("{", unbuffered, 1))


@contextlib.contextmanager
def nginx(home: Path, configuration: str, port: int) -> Iterator[None]:
    path = home / "nginx.conf"
    path.write_text(configuration)
    process = subprocess.Popen([NGINX, "-p", f"{home}/", "-c", str(path), "-e", str(home / "error.log")])

    def listens() -> bool:
        assert process.poll() is None, (home / "error.log").read_text()
        with contextlib.suppress(OSError), Connection(("127.0.0.1", port)):
            return True
        return False

    try:
        eventually(listens, "nginx listens")
        yield
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(DEADLINE)


@pytest.fixture(scope="module")
def sites(module_serve: Callable[..., Running], tmp_path_factory: pytest.TempPathFactory):
    """Puts a server of a class behind nginx, once."""
    made: dict[str, Site] = {}
    with contextlib.ExitStack() as ends:

        def site(name: str) -> Site:
            if name not in made:
                app = "proxied:asgi" if name == "asgi" else "proxied:app"
                server = module_serve(*CLASSES[name], *AS_TOLD, "-w", "2", bind="unix", app=app)
                server.wait_workers(2)
                home, port = tmp_path_factory.mktemp(f"nginx-{name}"), free_port()
                frame = FRAME.format(modules="", site=site_of(server.address, port), stream="")
                ends.enter_context(nginx(home, frame, port))
                made[name] = Site(server, ("127.0.0.1", port), home)
            return made[name]

        yield site


every = pytest.mark.parametrize("name", CLASSES)


@every
def test_requests_on_kept_connections(sites, name: str) -> None:
    site = sites(name)
    with Connection(site.address) as client:
        for _ in range(20):
            client.send(encode("GET", "/"))
            response = client.response()
            assert (response.status, response.body) == (200, b"hello\n")
    assert "[error]" not in site.errors


@every
@pytest.mark.parametrize("path", ["/echo", "/direct/echo"])
def test_upload(sites, name: str, path: str) -> None:
    body = os.urandom(1_000_000)
    response = fetch(sites(name).address, path, method="POST", body=body)
    assert (response.status, response.body) == (200, body)


@every
def test_blocks_arrive_one_by_one(sites, name: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Connection(sites(name).address) as client:
        client.send(encode("GET", f"/direct/gated?{gate}"))
        response = client.head()
        assert (response.status, response.value("Transfer-Encoding")) == (200, "chunked")
        chunks = client.chunks()
        assert next(chunks) == b"one"
        # Only now may the application go on.
        gate.touch()
        assert b"".join(chunks) == b"two"


@every
def test_the_application_sees_the_client_of_nginx(sites, name: str) -> None:
    lies = [("X-Forwarded-Proto", "http"), ("X-Forwarded-For", "192.0.2.9"), ("Forwarded", "for=192.0.2.9")]
    for fields in ([], lies):
        response = fetch(sites(name).address, "/shown", *fields)
        assert json.loads(response.body) == {"scheme": "https", "client": "127.0.0.1"}


@every
def test_a_client_that_leaves_ends_its_response(sites, name: str) -> None:
    site = sites(name)
    before = site.server.stderr.count("given up")
    with Connection(site.address) as client:
        client.send(encode("GET", "/direct/endless"))
        assert client.head().status == 200
        assert next(client.chunks())
    site.server.wait_log("given up", before + 1)
    assert fetch(site.address).status == 200
    assert "[ERROR]" not in site.server.stderr and "Traceback" not in site.server.stderr


@every
def test_a_reload_is_not_noticed(sites, unfailing, name: str) -> None:
    site = sites(name)
    before = site.server.workers()
    with unfailing(site, clients=4):
        site.server.send(signal.SIGHUP)
        site.server.wait_workers(2, unlike=before)
    assert "[ERROR]" not in site.server.stderr


def test_websockets(sites) -> None:
    host, port = sites("asgi").address
    with connect(f"ws://{host}:{port}/ws", compression=None, subprotocols=["one"]) as client:
        assert client.subprotocol == "one"
        for message in ("text", b"\xff" * 100_000):
            client.send(message)
            assert client.recv(timeout=10) == message
        client.close(4001, "bye")
        assert client.close_code == 4001


def stream_module() -> str | None:
    """What a configuration has to say to have nginx's stream module; None if there is none."""
    built = subprocess.run([NGINX, "-V"], capture_output=True, text=True, check=True).stderr
    if "--with-stream " in f"{built} ":
        return ""
    prefix = re.search(r"--modules-path=(\S+)", built)
    module = Path(prefix.group(1) if prefix else "", "ngx_stream_module.so")
    return f"load_module {module};" if module.exists() else None


def test_the_proxy_protocol(serve, tmp_path: Path) -> None:
    module = stream_module()
    if module is None:
        pytest.skip("nginx has no stream module (Debian's package libnginx-mod-stream)")
    server = serve("--proxy-protocol", "v1", bind="unix", app="proxied:app")
    port = free_port()
    stream = STREAM.format(port=port, socket=server.address)
    with nginx(tmp_path, FRAME.format(modules=module, site="", stream=stream), port):
        response = fetch(("127.0.0.1", port), "/shown")
        assert json.loads(response.body) == {"scheme": "http", "client": "127.0.0.1"}
