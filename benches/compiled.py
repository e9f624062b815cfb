"""The programs in C beside this file: limit.c, which answers, and echoes.c, which asks.

Owns how they are compiled, once a run. Must never leave anything beside their sources.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def compiler() -> str | None:
    return shutil.which("gcc") or shutil.which("cc")


def compiled(name: str, directory: Path) -> Path:
    """The program, in `directory`; there has to be a compiler."""
    program = directory / name
    if not program.exists():
        command = [str(compiler()), "-O2", "-Wall", "-o", str(program), str(HERE / f"{name}.c")]
        subprocess.run(command, check=True)
    return program
