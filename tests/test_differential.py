"""Damaged streams, to our core and to gunicorn's parser: no difference without a reason.

`make differential` takes a million of them. Read next: differential/compare.py.
"""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "differential"))

import readings
from compare import Tally, run
from corpus_cases import KEPT, cases
from reasons import REASONS

STREAMS = 20_000
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tally() -> Tally:
    build = ["cargo", "build", "--quiet", "--no-default-features", "--example", "readings"]
    subprocess.run(build, cwd=ROOT, check=True)
    return run(seed=1, count=STREAMS)


def test_each_difference_has_its_reason(tally: Tally) -> None:
    assert not tally.unexplained, "\n".join(map(str, tally.unexplained[:5]))


def test_the_streams_are_neither_all_good_nor_all_bad(tally: Tally) -> None:
    assert tally.streams == STREAMS
    for count in (tally.served, tally.refused, tally.bodies):
        assert STREAMS // 20 < count < STREAMS * 19 // 20


def test_each_reason_is_documented_and_needed(tally: Tally) -> None:
    sentences = {why for _, why, _ in REASONS}
    assert sentences <= {case.why for case in cases()} | set(KEPT)
    # Rare ones may not come up among so few streams.
    assert len(tally.reasons) > len(sentences) * 2 // 3


def test_what_we_read_is_what_the_program_told() -> None:
    """The comparison would say nothing if it saw nothing."""
    stream = b"POST /a?b HTTP/1.1\r\nX_Y: dropped\r\nX-Y:  v\xe9 \r\nContent-Length: 3\r\n\r\n\r\n\\GET"
    (reading,) = readings.ask([(0, stream)])
    (request,) = reading.requests
    assert (request.method, request.path, request.query, request.version) == ("POST", "/a", "b", "HTTP/1.1")
    assert request.fields == [("X-Y", "v\xe9"), ("CONTENT-LENGTH", "3")]
    assert (request.body, reading.end) == (b"\r\n\\", "truncated")
