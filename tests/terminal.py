"""A server on a terminal: a real one, by the kernel's pseudo-terminals.

Owns the terminal and the thread that copies what is shown there to `{home}/stderr`, so that a server on a
terminal is watched like any other. Must never let two starts share a terminal.
Read next: server.py, test_terminal.py.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from dataclasses import dataclass, field
from pathlib import Path

from client import DEADLINE, Address
from server import RWSGI, Kind, Running, environment

STREAMS = ("stdin", "stdout", "stderr")


def copy(master: int, file: Path) -> None:
    """Until the last process has let go of the terminal."""
    with file.open("ab", buffering=0) as shown:
        try:
            while data := os.read(master, 65536):
                # A terminal adds the carriage returns.
                shown.write(data.replace(b"\r\n", b"\n"))
        except OSError:
            pass  # EIO: that is how a terminal ends.
    os.close(master)


@dataclass
class Watched(Running):
    """A server whose standard streams are a terminal; `stderr` is all that is shown there."""

    copier: threading.Thread = field(default_factory=threading.Thread)

    def shown(self) -> str:
        """All of it, once the server has ended."""
        self.wait_exit()
        self.copier.join(DEADLINE)
        return self.stderr


def on_terminal(
    arguments: list[str],
    home: Path,
    cwd: Path,
    env: dict[str, str] | None = None,
    *,
    address: Address = "",
    columns: int = 100,
    kind: Kind = RWSGI,
    streams: tuple[str, ...] = STREAMS,
) -> Watched:
    """Starts the program; waits for nothing. Those of its streams that are not the terminal lead nowhere."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*kind.program, *kind.always, *arguments],
        cwd=cwd,
        env=environment(home, {"TERM": "xterm"} | (env or {})),
        start_new_session=True,
        **{name: slave if name in streams else subprocess.DEVNULL for name in STREAMS},
    )
    os.close(slave)
    (home / "stdout").touch()
    (home / "stderr").touch()
    copier = threading.Thread(target=copy, args=(master, home / "stderr"), daemon=True)
    copier.start()
    return Watched(kind, process, address, home, copier=copier)
