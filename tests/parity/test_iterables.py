"""Response bodies: every kind of iterable, write(), file_wrapper, and close()."""

import json

import pytest
from client import Response, Truncated, fetch
from server import Running

FILE = bytes(number % 251 for number in range(100_000))


def body(server: Running, name: str, **options) -> Response:
    return fetch(server.address, f"/iterables/{name}", **options)


def journal(server: Running) -> list[str]:
    return json.loads(fetch(server.address, "/journal").body)


@pytest.fixture(autouse=True)
def empty_journal(shared: Running) -> None:
    journal(shared)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one_block", b"one block"),
        ("two_blocks", b"first second"),
        ("tuple_blocks", b"atuple"),
        ("with_length", b"hello world"),
        ("empty_list", b""),
        ("generator", b"a generated body"),
        ("empty_blocks", b"betweenempties"),
        ("only_empty_blocks", b""),
        ("closing", b"closed after"),
        ("sized_closing", b"one sized block"),
        ("old_protocol", b"old protocol"),
        ("write", b"written twice"),
        ("write_then_blocks", b"written blocks"),
        ("file", FILE),
        ("file_with_length", FILE),
        ("file_from_offset", FILE[-10:]),
        ("file_empty", b""),
        ("file_without_fileno", b"no file descriptor"),
        ("file_iterated", b"abcdefghij"),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_body(shared: Running, name: str, expected: bytes, version: str) -> None:
    response = body(shared, name, version=version)
    assert response.status == 200
    assert response.version == f"HTTP/{version}"
    assert response.body == expected
    assert (response.framing == "chunked") <= (version == "1.1")


def test_range_of_a_file(shared: Running) -> None:
    response = body(shared, "file_range")
    assert (response.status, response.body) == (206, FILE[50:75])


def test_generator_starts_late(shared: Running) -> None:
    response = body(shared, "late_start")
    assert (response.status, response.reason, response.body) == (201, "Created", b"late")


def test_a_generator_is_chunked_block_by_block(shared: Running) -> None:
    response = body(shared, "generator")
    assert response.framing == "chunked"
    assert response.chunks == [b"a ", b"generated ", b"body"]


def test_a_length_frames_the_body(shared: Running) -> None:
    response = body(shared, "with_length")
    assert (response.framing, response.value("Content-Length")) == ("length", "11")


@pytest.mark.better("A body of one block gets a `Content-Length`; gunicorn chunks it.")
@pytest.mark.parametrize("name", ["one_block", "sized_closing"])
def test_a_single_block_has_a_length(shared: Running, name: str) -> None:
    assert body(shared, name).framing == "length"


@pytest.mark.parametrize(
    "name", ["closing", "sized_closing", "close_raises", "closing_head", "closing_after_error"]
)
def test_close_is_called_once(shared: Running, name: str) -> None:
    try:
        body(shared, name)
    except Truncated:
        assert name == "closing_after_error"
    assert journal(shared) == ["close"]


def test_close_is_called_for_head(shared: Running) -> None:
    assert body(shared, "closing_head", method="HEAD").status == 200
    assert journal(shared) == ["close"]


def test_a_raising_close_does_not_spoil_the_response(shared: Running) -> None:
    response = body(shared, "close_raises")
    assert (response.status, response.body) == (200, b"body")
    shared.wait_log("close failed")


def test_a_wrapped_file_is_closed(shared: Running) -> None:
    assert b"def file_closed" in body(shared, "file_closed").body
    assert journal(shared) == ["file closed"]


@pytest.mark.parametrize("size", [0, 1, 65536, 5_000_000])
def test_sizes(shared: Running, size: int) -> None:
    assert body(shared, f"large?{size}").body == b"x" * size


def test_many_blocks(shared: Running) -> None:
    response = body(shared, "large_generator?100")
    assert response.framing == "chunked"
    assert response.body == b"".join(bytes([number % 251]) * 65536 for number in range(100))
