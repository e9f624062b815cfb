"""Response bodies of every kind PEP 3333 allows, one callable each."""

import io
import os
import tempfile

from cases import note

PLAIN = [("Content-Type", "text/plain")]


def one_block(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"one block"]


def two_blocks(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"first ", b"second"]


def tuple_blocks(environ, start_response):
    start_response("200 OK", PLAIN)
    return (b"a", b"tuple")


def with_length(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "11")])
    return [b"hello ", b"world"]


def empty_list(environ, start_response):
    start_response("200 OK", PLAIN)
    return []


def generator(environ, start_response):
    start_response("200 OK", PLAIN)
    yield from (b"a ", b"generated ", b"body")


def late_start(environ, start_response):
    """A generator runs start_response only when its first item is asked for."""
    start_response("201 Created", PLAIN)
    yield b"late"


def empty_blocks(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b""
    yield b"between"
    yield b""
    yield b"empties"
    yield b""


def only_empty_blocks(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b""
    yield b""


class Closing:
    def __init__(self, blocks, error=None):
        self.blocks = iter(blocks)
        self.error = error

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.blocks)

    def close(self):
        note("close")
        if self.error:
            raise self.error


class SizedClosing(Closing):
    def __len__(self):
        return 1


def closing(environ, start_response):
    start_response("200 OK", PLAIN)
    return Closing([b"closed ", b"after"])


def sized_closing(environ, start_response):
    start_response("200 OK", PLAIN)
    return SizedClosing([b"one sized block"])


def close_raises(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
    return Closing([b"body"], RuntimeError("close failed"))


def raising_blocks():
    yield b"one"
    raise RuntimeError("while iterating")


def closing_after_error(environ, start_response):
    start_response("200 OK", PLAIN)
    return Closing(raising_blocks())


def closing_head(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
    return Closing([b"body"])


class OldProtocol:
    """Iterable by __getitem__ alone, as PEP 234 keeps it."""

    def __getitem__(self, index):
        return [b"old ", b"protocol"][index]


def old_protocol(environ, start_response):
    start_response("200 OK", PLAIN)
    return OldProtocol()


def write(environ, start_response):
    send = start_response("200 OK", PLAIN)
    send(b"written ")
    send(b"")
    send(b"twice")
    return []


def write_then_blocks(environ, start_response):
    send = start_response("200 OK", [*PLAIN, ("Content-Length", "14")])
    send(b"written ")
    return [b"blocks"]


def large(environ, start_response):
    size = int(environ["QUERY_STRING"] or "1000000")
    start_response("200 OK", [*PLAIN, ("Content-Length", str(size))])
    return [b"x" * size]


def large_generator(environ, start_response):
    """Blocks of 64 KiB, as many as the query says."""
    start_response("200 OK", PLAIN)
    for number in range(int(environ["QUERY_STRING"])):
        yield bytes([number % 251]) * 65536


def temporary_file(size=100_000):
    file = tempfile.TemporaryFile()
    file.write(bytes(number % 251 for number in range(size)))
    file.seek(0)
    return file


def file(environ, start_response):
    start_response("200 OK", PLAIN)
    return environ["wsgi.file_wrapper"](temporary_file(), 8192)


def file_with_length(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "100000")])
    return environ["wsgi.file_wrapper"](temporary_file())


def file_from_offset(environ, start_response):
    opened = temporary_file()
    opened.seek(99_990)
    start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
    return environ["wsgi.file_wrapper"](opened)


def file_range(environ, start_response):
    """Content-Length shorter than the file: a range."""
    opened = temporary_file()
    opened.seek(50)
    start_response("206 Partial Content", [*PLAIN, ("Content-Length", "25")])
    return environ["wsgi.file_wrapper"](opened)


def file_empty(environ, start_response):
    start_response("200 OK", PLAIN)
    return environ["wsgi.file_wrapper"](temporary_file(0))


def file_without_fileno(environ, start_response):
    start_response("200 OK", PLAIN)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"no file descriptor"), 4)


class NotingFile(io.FileIO):
    def close(self):
        if not self.closed:
            note("file closed")
        super().close()


def file_closed(environ, start_response):
    start_response("200 OK", PLAIN)
    return environ["wsgi.file_wrapper"](NotingFile(os.path.abspath(__file__)))


def file_iterated(environ, start_response):
    """The wrapper is an iterable of blocks for an application that wraps it again."""
    start_response("200 OK", PLAIN)
    return list(environ["wsgi.file_wrapper"](io.BytesIO(b"abcdefghij"), 4))
