"""The command itself: its ways in, its variables, and what the package holds for type checkers."""

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import server as servers
from client import fetch
from server import APPS, RWSGI, environment, title_of

MODULE = replace(RWSGI, program=(sys.executable, "-m", "rwsgi"))


def package() -> Path:
    spec = importlib.util.find_spec("rwsgi")
    assert spec and spec.origin
    return Path(spec.origin).parent


@pytest.fixture
def as_module(tmp_path: Path):
    started: list[servers.Running] = []

    def as_module(app: str) -> servers.Running:
        port = servers.free_port()
        home = servers.scratch(tmp_path)
        process = servers.launch(MODULE, ["-b", f"127.0.0.1:{port}", app], home)
        started.append(servers.Running(MODULE, process, ("127.0.0.1", port), home))
        servers.eventually(started[-1].listening, "the server listens")
        return started[-1]

    yield as_module
    for running in started:
        running.clean_up()


def test_python_m(as_module) -> None:
    server = as_module("hello:app")
    assert fetch(server.address).body == b"hello\n"
    server.wait_workers(1)
    assert title_of(server.pid) == "rwsgi: master [hello:app]"
    assert server.stop() == 0


def test_python_m_has_the_same_name_and_status(tmp_path: Path) -> None:
    status, stdout, _ = servers.run(MODULE, ["--version"], servers.scratch(tmp_path))
    assert (status, stdout) == (0, f"rwsgi (version {importlib.metadata.version('rwsgi')})\n")
    status, _, stderr = servers.run(MODULE, ["--no-such-flag"], servers.scratch(tmp_path))
    assert status == 2
    assert "--no-such-flag" in stderr


def test_versions_agree() -> None:
    code = "import rwsgi, rwsgi._rwsgi; print(rwsgi.__version__, rwsgi._rwsgi.__version__)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == [importlib.metadata.version("rwsgi")] * 2


def test_type_information() -> None:
    assert (package() / "py.typed").exists()
    stub = ast.parse((package() / "_rwsgi.pyi").read_text())
    names = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    names |= {node.name for node in stub.body if isinstance(node, ast.ClassDef)} - {"Setting"}
    names |= {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    code = "import rwsgi._rwsgi as m; print('__version__', *(name for name in dir(m) if name[:2] != '__'))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(output.split()) == names


def test_no_dependencies() -> None:
    """But of worker classes that are asked for by name."""
    assert all("extra ==" in requirement for requirement in importlib.metadata.requires("rwsgi") or [])


def test_the_package_imports_nothing_more() -> None:
    """Every worker pays for what the package imports."""
    code = "import sys; before = set(sys.modules); import rwsgi; print(*sorted(set(sys.modules) - before))"
    output = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == ["rwsgi", "rwsgi._rwsgi"]


@pytest.mark.parametrize(
    ("env", "workers"),
    [
        ({"RWSGI_WORKERS": "4"}, "4"),
        ({"RWSGI_WORKERS": "4", "WEB_CONCURRENCY": "5"}, "4"),
        ({"GUNICORN_CMD_ARGS": "--workers 6"}, "6"),
        ({"RWSGI_CMD_ARGS": "--workers 7", "GUNICORN_CMD_ARGS": "--workers 6"}, "7"),
        ({"RWSGI_WORKERS": "4", "RWSGI_CMD_ARGS": "--workers 7"}, "7"),
    ],
)
def test_variables(run, env: dict[str, str], workers: str) -> None:
    status, stdout, stderr = run("--print-config", "hello:app", env=env)
    assert status == 0, stderr
    (line,) = [line for line in stdout.splitlines() if line.startswith("workers ")]
    assert line.split()[2] == workers
    assert any(name in line for name in env), "the line says where the value came from"


def test_gunicorns_default_file_is_read_when_there_is_no_other(run, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text((APPS / "hello.py").read_text())
    (tmp_path / "gunicorn.conf.py").write_text("workers = 8\n")
    _, stdout, _ = run("--print-config", "hello:app", cwd=tmp_path)
    assert [line.split()[2] for line in stdout.splitlines() if line.startswith("workers ")] == ["8"]
    (tmp_path / "rwsgi.conf.py").write_text("backlog = 9\n")
    _, stdout, _ = run("--print-config", "hello:app", cwd=tmp_path)
    assert [line.split()[2] for line in stdout.splitlines() if line.startswith("workers ")] == ["1"]


def test_the_environment_of_a_test_is_clean(tmp_path: Path) -> None:
    assert not [
        name for name in environment(tmp_path) if name.startswith(("RWSGI", "GUNICORN", "PORT", "WEB_"))
    ]


def flags(kind: servers.Kind, directory: Path) -> set[str]:
    _, text, _ = servers.run(kind, ["--help"], servers.scratch(directory))
    return set(re.findall(r"--[a-z0-9][a-z0-9_-]+", text))


def test_no_flag_of_ours_takes_an_abbreviation_from_gunicorns(tmp_path: Path) -> None:
    """argparse takes `--bin` for `--bind`, and command lines in use say so."""
    theirs = flags(servers.GUNICORN, tmp_path)
    ours = flags(servers.RWSGI, tmp_path) - theirs
    assert len(theirs) > 50 and ours

    def meant(abbreviation: str, known: set[str]) -> set[str]:
        return {flag for flag in known if flag.startswith(abbreviation)}

    abbreviations = {flag[:length] for flag in theirs for length in range(4, len(flag))}
    clear = {text for text in abbreviations if len(meant(text, theirs)) == 1}
    assert {text: meant(text, ours) for text in clear if meant(text, ours)} == {}
