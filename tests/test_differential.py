"""A bounded run of differential.py: streams that no server may read in two ways."""

from differential import build, compare

STREAMS = 20_000


def test_what_we_serve_gunicorn_reads_alike() -> None:
    outcome = compare(STREAMS, 20_261_127, build())
    assert outcome.faults == []
    # Else nothing was compared.
    assert outcome.streams == STREAMS
    assert outcome.agreed > STREAMS / 20
