"""Application specifications, and what happens when one cannot be loaded."""

from pathlib import Path

import pytest
from client import fetch
from server import APPS

SOURCES = {
    "broken_syntax": "def app(:\n",
    "broken_import": "import module_that_is_not_there\n",
    "broken_code": "raise RuntimeError('at import')\n",
}


@pytest.mark.parametrize(
    ("app", "body"),
    [
        ("hello", b"hello\n"),
        ("factories", b"the default name"),
        ("factories:plain()", b"plain"),
        ("factories:joined('a', 'b', sep='-')", b"a-b"),
        ("factories:joined(1, None, [2])", b"1 None [2]"),
        ("factories:site", b"hello\n"),
        pytest.param(
            "factories:Site.application",
            b"hello\n",
            marks=pytest.mark.better(
                "The application may be a dotted attribute, as in `shop:site.application`."
            ),
        ),
    ],
)
def test_loads(serve, app: str, body: bytes) -> None:
    assert fetch(serve(app=app).address).body == body


def test_loads_from_a_package(serve, tmp_path: Path) -> None:
    (tmp_path / "shop" / "web").mkdir(parents=True)
    (tmp_path / "shop" / "web" / "wsgi.py").write_text((APPS / "hello.py").read_text())
    assert fetch(serve(app="shop.web.wsgi:app", cwd=tmp_path).address).body == b"hello\n"


@pytest.mark.parametrize(
    ("app", "status", "said"),
    [
        ("hello:nope", 4, "Failed to find attribute 'nope' in 'hello'."),
        ("factories:number", 4, "Application object must be callable."),
        ("factories:missing", 4, "Failed to find application object: 'missing'"),
        ("factories:nothing()", 4, "Failed to find application object: 'nothing()'"),
        ("factories:1+1", 4, "Failed to parse '1+1' as an attribute name or function call."),
        ("factories:joined(open)", 4, "Failed to parse arguments as literal values: 'joined(open)'"),
        ("factories:plain(1)", 4, "plain() takes 0 positional arguments but 1 was given"),
        ("factories:failing()", 3, "RuntimeError: the factory failed"),
        ("not_a_module", 3, "No module named 'not_a_module'"),
        ("broken_syntax:app", 3, "SyntaxError"),
        ("broken_import:app", 3, "No module named 'module_that_is_not_there'"),
        ("broken_code:app", 3, "RuntimeError: at import"),
    ],
)
def test_fails(run, tmp_path: Path, app: str, status: int, said: str) -> None:
    for name, source in SOURCES.items():
        (tmp_path / f"{name}.py").write_text(source)
    exit_status, _, stderr = run("-b", "127.0.0.1:0", "--pythonpath", str(tmp_path), app)
    assert exit_status == status, stderr
    assert said in stderr
    reason = {3: "Worker failed to boot.", 4: "App failed to load."}[status]
    assert f"[ERROR] Reason: {reason}" in stderr
    assert "[ERROR] Shutting down: Master" in stderr


def test_a_file_name_for_a_module(run) -> None:
    status, _, stderr = run("-b", "127.0.0.1:0", "hello.py")
    assert status == 3
    assert "did you mean 'hello:application'?" in stderr


def test_no_application(run) -> None:
    status, _, stderr = run()
    assert status == 1
    assert "No application module specified." in stderr


@pytest.mark.parametrize("app", ["not_a_module", "hello:nope"])
def test_preload_fails_before_any_worker(run, app: str) -> None:
    status, _, stderr = run("-b", "127.0.0.1:0", "--preload", app)
    assert status != 0
    assert "Booting worker" not in stderr
    assert app.partition(":")[2] in stderr
