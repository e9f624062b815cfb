"""What a result has to say about where it was measured.

Owns the notes on CPU, kernel, Python and revision. Read next: report.py.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def cpu() -> str:
    found = re.search(r"^model name\s*: (.+)", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1].strip() if found else platform.machine()


def revision() -> str:
    """The commit; `+` if the checkout has changes besides. Empty without git."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def notes() -> dict[str, str]:
    load = os.getloadavg()[0]
    return {
        "cpu": f"{cpu()}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "revision": revision(),
        "load average before": f"{load:.1f}",
    }


def slug() -> str:
    """Of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", f"{cpu()} x{os.cpu_count()}".lower()).strip("-")
