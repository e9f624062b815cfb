"""Seeds for the fuzzers: the streams of the request corpus, one file each.

Owns nothing but fuzz/corpus/, which is not kept. Run by `make fuzz`.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from corpus_cases import cases  # noqa: E402

# What each target reads before the stream itself.
PREFIXES = {"head": b"", "chunked": b"\x80", "proxy_protocol": b"\x02\x80", "connection": b"\x00\x00\x80"}


def main() -> None:
    for target, prefix in PREFIXES.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, case in enumerate(cases()):
            stream = case.data.partition(b"\r\n\r\n")[2] if target == "chunked" else case.data
            (folder / f"seed-{number}").write_bytes(prefix + stream)


if __name__ == "__main__":
    main()
