"""docs/migrating-from-gunicorn.md: migrating.md, then lists made from the settings and the tests.

Owns how the lists are made. A difference is listed because a test shows it: the sentence is the argument of
its `better` mark. Must never list what no row and no test says.
Read next: parity/conftest.py, test_gunicorn_settings.py.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gunicorn.config import KNOWN_SETTINGS
from rwsgi._rwsgi import settings

if TYPE_CHECKING:
    from rwsgi._rwsgi import Setting

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "migrating-from-gunicorn.md"
THEIRS = {setting.name for setting in KNOWN_SETTINGS}


def document() -> str:
    known = [setting for setting in settings() if setting["name"] in THEIRS]
    refused = by_reason([s for s in known if not s["works"] and not s["moot"]])
    moot = by_reason([s for s in known if s["moot"]])
    own = [f"`{s['name']}`: {s['short']}" for s in settings() if s["name"] not in THEIRS]
    parts = [
        "<!-- From tests/migrating.md, the settings and the tests: `make docs`. Do not edit. -->",
        (TESTS / "migrating.md").read_text().rstrip(),
        "## What is better in detail\n\nEach line is shown by a test that gunicorn fails.",
        listed(sorted(set(differences()))),
        "## Settings that are not supported yet\n\nAny value but their default is an error.",
        listed(refused),
        "## Settings without effect\n\nThey are accepted with a warning.",
        listed(moot),
        "## Settings that gunicorn does not have",
        listed(own),
    ]
    return "\n\n".join(parts) + "\n"


def listed(lines: list[str]) -> str:
    return "\n".join(f"- {line.rstrip('.')}." for line in lines)


def by_reason(listed: list[Setting]) -> list[str]:
    names: dict[str, list[str]] = {}
    for setting in listed:
        names.setdefault(setting["reason"] or "", []).append(f"`{setting['name']}`")
    return [f"{', '.join(same)}: {reason}" for reason, same in names.items()]


def differences() -> Iterator[str]:
    for path in sorted((TESTS / "parity").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.better":
                (reason,) = node.args
                yield ast.literal_eval(reason)


def test_every_difference_is_a_sentence() -> None:
    for reason in differences():
        assert reason[0].isupper() or reason[0] == "`", reason
        assert reason.endswith("."), reason


def test_the_document_is_current() -> None:
    text = document()
    if os.environ.get("RWSGI_REGENERATE"):
        DOCUMENT.write_text(text)
    assert DOCUMENT.exists() and DOCUMENT.read_text() == text, f"{DOCUMENT.name} is stale: run `make docs`"
