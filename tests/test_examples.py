"""The examples work as they are told to."""

import sys
from dataclasses import replace
from pathlib import Path

import server as servers
from client import fetch
from server import HERE, RWSGI

EXAMPLES = HERE.parent / "examples"


def test_the_readmes_own_command(serve) -> None:
    server = serve("-w", "3", app="test:app", cwd=EXAMPLES)
    assert fetch(server.address).body == b"Hello, World!\n"
    server.wait_workers(3)
    assert server.stop() == 0


def test_the_config_file(serve) -> None:
    server = serve(
        "-c", "config/rwsgi.conf.py", bind=None, app="test:app", cwd=EXAMPLES, env={"PORT": "{port}"}
    )
    assert fetch(server.address).status == 200
    server.wait_log("Listening at: http://0.0.0.0:")


def test_the_dockerfile_runs_rwsgi_itself() -> None:
    lines = (EXAMPLES / "Dockerfile").read_text().splitlines()
    (command,) = [line for line in lines if line.startswith("CMD")]
    assert command.startswith('CMD ["rwsgi", ')


def test_every_example_is_in_the_readme() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.rglob("*"):
        if path.is_file() and path.name != "README.md" and "__pycache__" not in path.parts:
            assert f"({path.relative_to(EXAMPLES)})" in readme, path


def test_relative_links_of_the_documents() -> None:
    import re

    for document in [*HERE.parent.glob("*.md"), EXAMPLES / "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / Path(link)).exists(), f"{document.name}: {link}"


def test_the_program_that_serves_itself(tmp_path: Path) -> None:
    port, home = servers.free_port(), servers.scratch(tmp_path)
    kind = replace(RWSGI, program=(sys.executable, "embedded.py"))
    process = servers.launch(kind, [f"127.0.0.1:{port}"], home, cwd=EXAMPLES)
    server = servers.Running(kind, process, ("127.0.0.1", port), home)
    try:
        servers.eventually(server.listening, "the server listens")
        assert fetch(server.address).body == b"Works fine\n"
        server.wait_workers(2)
        assert server.stop() == 0
    finally:
        server.clean_up()
