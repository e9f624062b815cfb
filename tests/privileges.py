"""Accounts for the tests that change user: who may run them, and where both users may look.

Owns the conditions under which they are skipped, and the way to start a server that other users can read.
Must never change the machine's accounts.
Read next: parity/test_identity.py.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from server import APPS, Kind

USER = pwd.getpwnam("nobody")
# A number that has no name.
NUMBER = 47_114_711


def as_user(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, user=USER.pw_uid, group=USER.pw_gid, extra_groups=[], capture_output=True, text=True, cwd="/"
    )


def search_path() -> str:
    spec = importlib.util.find_spec("rwsgi")
    assert spec and spec.origin
    return f"{Path(spec.origin).parent.parent}:{sysconfig.get_path('purelib')}"


def readable(kind: Kind) -> Kind:
    """The server, started by an interpreter that the other user may run too."""
    if os.geteuid() != 0:
        pytest.skip("only root can change user")
    system = f"/usr/bin/python3.{sys.version_info.minor}"
    for python in (sys.executable, system):
        program = ("/usr/bin/env", f"PYTHONPATH={search_path()}", python)
        if as_user(*program, "-c", f"import {kind.name}").returncode == 0:
            return replace(kind, program=(*program, "-m", kind.name))
    pytest.skip("no Python here is readable for other users")


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user can enter, with an application in it."""
    directory = Path(tempfile.mkdtemp(prefix="rwsgi-public-"))
    directory.chmod(0o755)
    shutil.copy(APPS / "who.py", directory)
    yield directory
    shutil.rmtree(directory)
