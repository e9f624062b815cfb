"""What a person at the terminal reads when the application cannot be loaded, or the config file is wrong."""

import re
from pathlib import Path

import pytest
from server import APPS

PREFIX = re.compile(r"\[[^]]*\] \[\d+\] \[(\w+)\] ")
LIFE = ("Booting worker", "Worker exiting", "Starting ", "Listening at", "Using worker", "Handling signal")
SOURCES = {
    "deep.py": "import deeper\napplication = None\n",
    "deeper.py": "def load():\n    raise RuntimeError('no database')\n\n\nload()\n",
    "typo.py": "aplication = print\nother = 1\n",
    "syntax.py": "def app(:\n",
}


@pytest.fixture
def report(run, tmp_path: Path):
    """The exit status, and what is said beside the ordinary life of the processes."""

    def report(app: str, *arguments: str) -> tuple[int, list[str]]:
        for name, source in SOURCES.items():
            (tmp_path / name).write_text(source)
        status, _, stderr = run("-b", "127.0.0.1:0", "-w", "4", *arguments, app, cwd=tmp_path)
        lines = [PREFIX.sub("", line, count=1) for line in stderr.splitlines()]
        return status, [line for line in lines if line.strip() and not line.startswith(LIFE)]

    return report


def about_the_application(lines: list[str]) -> list[str]:
    """Without the master's own last words."""
    last_words = ("Worker (pid:", "Shutting down: Master", "Reason: ")
    return [line for line in lines if not line.startswith(last_words)]


@pytest.mark.parametrize(
    ("app", "status", "said"),
    [
        ("deep", 3, ["no database", "deeper.py", "deep.py"]),
        ("absent:app", 3, ["absent"]),
        ("syntax:app", 3, ["syntax.py", "line 1"]),
        ("typo:application", 4, ["application", "aplication"]),
        ("typo:other", 4, ["callable"]),
    ],
)
def test_told_once_in_six_lines(report, app: str, status: int, said: list[str]) -> None:
    exit_status, lines = report(app)
    lines = about_the_application(lines)
    assert exit_status == status, lines
    assert 1 <= len(lines) <= 6, lines
    text = "\n".join(lines)
    assert all(word in text for word in said), text
    assert len(set(lines)) == len(lines), lines


def test_only_the_applications_own_frames(report) -> None:
    text = "\n".join(report("deep")[1])
    assert "importlib" not in text
    assert "site-packages" not in text


def test_the_full_traceback_at_debug_level(report) -> None:
    text = "\n".join(report("deep", "--log-level", "debug")[1])
    assert "Traceback (most recent call last):" in text
    assert 'deeper.py", line 5' in text
    assert 'deep.py", line 1' in text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("workers = 2\ntimeout = 'soon'\n", ["conf.py:2", "timeout", "soon"]),
        ("workers = 2\nworker_class = 'snyc'\n", ["conf.py:2", "snyc", "sync"]),
        ("\n\nloglevel = 'loud'\n", ["conf.py:3", "loud", "warning"]),
        ("x = 1\nbind = '8000'\n", ["conf.py:2", "8000", ":8000"]),
        ("def f():\n    return 1 / 0\n\n\nworkers = f()\n", ["conf.py:5", "ZeroDivisionError", "conf.py:2"]),
    ],
)
def test_a_bad_config_file(run, tmp_path: Path, source: str, said: list[str]) -> None:
    (tmp_path / "conf.py").write_text(source)
    status, _, stderr = run("-c", "conf.py", "test:app", cwd=tmp_path)
    assert status == 1
    assert all(word in stderr for word in said), stderr
    assert "rust" not in stderr.lower().replace("conf.py", "")


def test_a_name_that_is_nearly_a_settings(run, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text((APPS / "hello.py").read_text())
    (tmp_path / "conf.py").write_text("database = 'x'\nwrokers = 3\n")
    status, _, stderr = run("-c", "conf.py", "--check-config", "hello:app", cwd=tmp_path)
    assert status == 0
    assert "wrokers" in stderr
    assert "workers" in stderr.replace("wrokers", "")
    assert "database" not in stderr
