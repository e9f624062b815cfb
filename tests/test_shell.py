"""What the command offers to shells and packagers: completion and a man page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import server as servers
from server import HERE, RWSGI


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    status, text, _ = servers.run(RWSGI, ["--completion", "bash"], tmp_path_factory.mktemp("completion"))
    assert status == 0
    path = tmp_path_factory.mktemp("script") / "rwsgi.bash"
    path.write_text(text)
    return path


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--work"], {"--workers", "--worker-class", "--worker-connections", "--worker-lifetime-jitter"}),
        (["--log-level", "d"], {"debug"}),
        (["--completion", ""], {"bash", "fish", "zsh"}),
    ],
)
def test_bash_completes(script: Path, words: list[str], expected: set[str]) -> None:
    code = f"""
source {script}
COMP_WORDS=(rwsgi "$@") COMP_CWORD=$#
complete -p rwsgi >&2
_rwsgi rwsgi "${{@: -1}}" "${{@: -2:1}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", code, "bash", *words], capture_output=True, text=True, check=True)
    assert "-F _rwsgi" in done.stderr
    assert set(done.stdout.split()) >= expected
    assert all(word.startswith(words[-1]) for word in done.stdout.split())


def test_no_other_shell(run) -> None:
    status, _, stderr = run("--completion", "tcsh")
    assert status == 2
    assert "possible values: bash, fish, zsh" in stderr


def test_the_man_page(run, tmp_path: Path) -> None:
    status, page, _ = run("--man")
    assert status == 0
    path = tmp_path / "rwsgi.1"
    path.write_text(page)
    for section in ("NAME", "SYNOPSIS", '"EXIT STATUS"', "SIGNALS"):
        assert f"\n.SH {section}\n" in page
    signals = (HERE.parent / "docs" / "signals.md").read_text().split("## To the master")[1].split("##")[0]
    for name in re.findall(r"^\| `([A-Z0-9]+)`", signals, re.MULTILINE):
        assert name == "CHLD" or re.search(rf"\b{name}\b", page.split(".SH SIGNALS")[1]), name
    if shutil.which("groff"):
        command = ["groff", "-man", "-Tascii", "-ww", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not done.stderr
        assert "Connections that may wait to be accepted." in done.stdout
