"""What a WebSocket client may send, and what must come of it: the server cases of the Autobahn test suite.

Owns the cases, under Autobahn's numbers, so that each can be looked up there (crossbario/autobahn-testsuite
on GitHub, which needs Python 2). The application echoes. Where Autobahn waits for time to pass, a script
waits for an answer. Must never know a server or a socket. Read next: test_websocket_conformance.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"
HELLO = b"Hello, world!"


@dataclass(frozen=True)
class Frame:
    """A frame of the server's; they are never masked, never in fragments, and no extension is in use."""

    opcode: int
    payload: bytes = b""

    def is_met_by(self, frame: Frame) -> bool:
        return self == frame


@dataclass(frozen=True)
class Failure(Frame):
    """A close with this code. Its reason is the server's to choose."""

    opcode: int = CLOSE
    code: int = 1002

    def is_met_by(self, frame: Frame) -> bool:
        return frame.opcode == CLOSE and frame.payload[:2] == struct.pack("!H", self.code)


@dataclass(frozen=True)
class Pause:
    """The server may give up here already. If it waits for more, that is lenient, not wrong."""


# Bytes are sent in one piece; frames are waited for.
Step = bytes | Frame | Pause


@dataclass(frozen=True)
class Case:
    number: str
    script: tuple[Step, ...]
    # What comes after the script, up to the end of the connection.
    strict: tuple[Frame, ...]
    # Autobahn's NON-STRICT: allowed as well.
    lenient: tuple[Frame, ...] | None = None
    # Autobahn's INFORMATIONAL: nothing is right or wrong, as long as it is one of these.
    informational: tuple[tuple[Frame, ...], ...] = ()

    @property
    def size(self) -> int:
        return sum(len(step) for step in self.script if isinstance(step, bytes))


def masked(payload: bytes) -> bytes:
    """All at once: an int is faster than a loop over megabytes."""
    key = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return number.to_bytes(len(payload), "little")


def frame(opcode: int, payload: bytes = b"", fin: bool = True, rsv: int = 0) -> bytes:
    """A client's frame."""
    length = len(payload)
    if length < 126:
        size = struct.pack("!B", 0x80 | length)
    elif length < 65536:
        size = struct.pack("!BH", 0x80 | 126, length)
    else:
        size = struct.pack("!BQ", 0x80 | 127, length)
    return bytes([0x80 * fin | rsv << 4 | opcode]) + size + MASK + masked(payload)


def fragments(opcode: int, pieces: Sequence[bytes]) -> bytes:
    """One message, a frame a piece."""
    last = len(pieces) - 1
    return b"".join(
        frame(CONTINUATION if number else opcode, piece, fin=number == last)
        for number, piece in enumerate(pieces)
    )


def pieces(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[start : start + size] for start in range(0, len(data), size))


def end(code: int = 1000, reason: bytes = b"") -> bytes:
    return struct.pack("!H", code) + reason


def clean(number: str, *script: Step) -> Case:
    """After the script the client closes, and is answered."""
    return Case(number, (*script, frame(CLOSE, end())), (Frame(CLOSE, end()),))


def echoed(number: str, opcode: int, payload: bytes, *sent: bytes) -> Case:
    """A message that comes back; in one frame unless it says how it is sent."""
    return clean(number, *(sent or (frame(opcode, payload),)), Frame(opcode, payload))


def failed(number: str, *sent: Step, code: int = 1002) -> Case:
    return Case(number, sent, (Failure(code=code),))


def failed_after_echo(number: str, *sent: bytes) -> Case:
    """A good message, and then a fault. The application may have answered the message by then, or not."""
    return Case(number, sent, (Frame(TEXT, HELLO), Failure()), lenient=(Failure(),))


def framing() -> Iterator[Case]:
    sizes = [0, 125, 126, 127, 128, 65535, 65536, 65536]
    for part, opcode, octet in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for number, size in enumerate(sizes, 1):
            payload = octet * size
            whole = frame(opcode, payload)
            sent = pieces(whole, 997) if number == len(sizes) else (whole,)
            yield echoed(f"1.{part}.{number}", opcode, payload, *sent)


def pings() -> Iterator[Case]:
    def answered(number: str, payload: bytes, size: int = 1000) -> Case:
        return clean(number, *pieces(frame(PING, payload), size), Frame(PONG, payload))

    yield answered("2.1", b"")
    yield answered("2.2", HELLO)
    yield answered("2.3", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")
    yield answered("2.4", b"\xfe" * 125)
    yield failed("2.5", frame(PING, b"\xfe" * 126))
    yield answered("2.6", b"\xfe" * 125, 1)
    yield clean("2.7", frame(PONG))
    yield clean("2.8", frame(PONG, b"unsolicited pong payload"))
    yield clean(
        "2.9", frame(PONG, b"unsolicited") + frame(PING, b"ping payload"), Frame(PONG, b"ping payload")
    )
    ten = [b"payload-%d" % number for number in range(10)]
    sent, pongs = b"".join(frame(PING, one) for one in ten), [Frame(PONG, one) for one in ten]
    yield clean("2.10", sent, *pongs)
    yield clean("2.11", *pieces(sent, 1), *pongs)


def reserved_bits() -> Iterator[Case]:
    good, ping = frame(TEXT, HELLO), frame(PING)
    yield failed("3.1", frame(TEXT, HELLO, rsv=1))
    yield failed_after_echo("3.2", good + frame(TEXT, HELLO, rsv=2) + ping)
    yield failed_after_echo("3.3", good, frame(TEXT, HELLO, rsv=3), ping)
    yield failed_after_echo("3.4", *pieces(good + frame(TEXT, HELLO, rsv=4) + ping, 1))
    yield failed("3.5", frame(BINARY, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", rsv=5))
    yield failed("3.6", frame(PING, HELLO, rsv=6))
    yield failed("3.7", frame(CLOSE, rsv=7))


def opcodes() -> Iterator[Case]:
    good, ping = frame(TEXT, HELLO), frame(PING)
    for part, first in ((1, 3), (2, 11)):
        yield failed(f"4.{part}.1", frame(first))
        yield failed(f"4.{part}.2", frame(first + 1, b"reserved opcode payload"))
        yield failed_after_echo(f"4.{part}.3", good + frame(first + 2) + ping)
        yield failed_after_echo(f"4.{part}.4", good + frame(first + 3, HELLO) + ping)
        yield failed_after_echo(f"4.{part}.5", *pieces(good + frame(first + 4, HELLO) + ping, 1))


def fragmentation() -> Iterator[Case]:
    one, two, last = b"fragment1", b"fragment2", b"fragment3"
    # Each as one piece, as a piece a frame, and as a piece an octet.
    cuts = (
        lambda *frames: (b"".join(frames),),
        lambda *frames: frames,
        lambda *frames: pieces(b"".join(frames), 1),
    )
    yield failed("5.1", frame(PING, one, fin=False) + frame(CONTINUATION, two))
    yield failed("5.2", frame(PONG, one, fin=False) + frame(CONTINUATION, two))
    begun, ended, ping = frame(TEXT, one, fin=False), frame(CONTINUATION, two), frame(PING, b"ping payload")
    for number, cut in enumerate(cuts):
        yield echoed(f"5.{3 + number}", TEXT, one + two, *cut(begun, ended))
    for number, cut in enumerate(cuts):
        yield clean(
            f"5.{6 + number}", *cut(begun, ping, ended), Frame(PONG, b"ping payload"), Frame(TEXT, one + two)
        )
    for first, fin in ((9, True), (12, False)):
        stray = frame(CONTINUATION, b"non-continuation payload", fin=fin)
        for number, cut in enumerate(cuts):
            yield failed(f"5.{first + number}", *cut(stray, frame(TEXT, HELLO)))
    sent = begun + ended + frame(CONTINUATION, last, fin=False) + frame(TEXT, b"fragment4")
    yield Case("5.15", (sent,), (Frame(TEXT, one + two), Failure()), lenient=(Failure(),))
    for number, fin in ((16, False), (17, True)):
        stray = frame(CONTINUATION, one, fin=fin) + frame(TEXT, two, fin=False) + frame(CONTINUATION, last)
        yield failed(f"5.{number}", stray * 2)
    yield failed("5.18", begun + frame(TEXT, two))
    parts = [b"fragment%d" % number for number in range(1, 6)]
    first = (begun, frame(CONTINUATION, parts[1], fin=False), frame(PING, b"pongme 1!"))
    second = (
        *(frame(CONTINUATION, part, fin=False) for part in parts[2:4]),
        *(frame(PING, b"pongme 2!"), frame(CONTINUATION, parts[4])),
    )
    for number, cut in ((19, cuts[0]), (20, cuts[1])):
        answers = (Frame(PONG, b"pongme 2!"), Frame(TEXT, b"".join(parts)))
        yield clean(f"5.{number}", *cut(*first), Frame(PONG, b"pongme 1!"), *cut(*second), *answers)


KOSME = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode()
GERMAN = "Hello-\xb5@\xdf\xf6\xe4\xfc\xe0\xe1-UTF-8!!".encode()
SURROGATE = KOSME + b"\xed\xa0\x80edited"
# The octet that makes it wrong is the thirteenth.
TOO_HIGH = KOSME + b"\xf4\x90\x80\x80edited"


def text_messages() -> Iterator[Case]:
    yield echoed("6.1.1", TEXT, b"")
    yield echoed("6.1.2", TEXT, b"", fragments(TEXT, [b"", b"", b""]))
    yield echoed("6.1.3", TEXT, b"middle", fragments(TEXT, [b"", b"middle", b""]))
    yield echoed("6.2.1", TEXT, GERMAN)
    yield echoed("6.2.2", TEXT, GERMAN, fragments(TEXT, [GERMAN[:14], GERMAN[14:]]))
    yield echoed("6.2.3", TEXT, GERMAN, fragments(TEXT, pieces(GERMAN, 1)))
    yield echoed("6.2.4", TEXT, KOSME, fragments(TEXT, pieces(KOSME, 1)))
    yield failed("6.3.1", frame(TEXT, SURROGATE), code=1007)
    yield failed("6.3.2", fragments(TEXT, pieces(SURROGATE, 1)), code=1007)
    # What is wrong is refused as soon as the frame is there, though the message goes on.
    asked = (frame(PING), Frame(PONG))
    for number, where in ((1, 11), (2, 12)):
        begun, wrong = TOO_HIGH[:where], TOO_HIGH[where : where + 4 if number == 1 else where + 1]
        sent = (frame(TEXT, begun, fin=False), *asked, frame(CONTINUATION, wrong, fin=False))
        yield failed(f"6.4.{number}", *sent, code=1007)
    # Within a frame it is refused when the frame is whole.
    whole, head = frame(TEXT, TOO_HIGH), len(frame(TEXT, TOO_HIGH)) - len(TOO_HIGH)
    for number, first, second in ((3, 11, 15), (4, 12, 13)):
        sent = (whole[: head + first], whole[head + first : head + second], Pause(), whole[head + second :])
        yield failed(f"6.4.{number}", *sent, code=1007)


def noncharacters() -> Iterator[bytes]:
    for plane in range(1, 17):
        for last in (0xFFFE, 0xFFFF):
            yield chr(plane << 16 | last).encode()


def joined(first: int, end: int) -> bytes:
    """Lonely first octets, each before a space."""
    return b"".join(bytes([octet, 0x20]) for octet in range(first, end))


SHORT = "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf"

# Groups of octets after Markus Kuhn's UTF-8 decoder test, in Autobahn's order from 6.5 on.
SEQUENCES: list[list[bytes]] = [
    [b"hello$world", b"hello\xc2\xa2world", b"hello\xe2\x82\xacworld", b"hello\xf0\xa4\xad\xa2world", KOSME],
    [KOSME[:length] for length in range(1, len(KOSME) + 1)],
    *(
        [bytes.fromhex(octets) for octets in group.split()]
        for group in (
            "00 c280 e0a080 f0908080",
            "f888808080 fc8480808080",
            "7f dfbf efbfbf f48fbfbf",
            "f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf",
            "ed9fbf ee8080 efbfbd f48fbfbf f4908080",
            f"80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf {bytes(range(0x80, 0xBF)).hex()}",
            " ".join(
                joined(*span).hex()
                for span in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD))
            ),
            SHORT,
            SHORT.replace(" ", ""),
            "fe ff fefeffff",
            "c0af e080af f08080af f8808080af fc80808080af",
            "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf",
            "c080 e08080 f0808080 f880808080 fc8080808080",
            "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf",
            "eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf"
            " edae80edb080 edae80edbfbf edafbfedb080 edafbfedbfbf",
        )
    ),
    [b"\xef\xbf\xbe", b"\xef\xbf\xbf", *noncharacters()],
    [chr(point).encode() for point in range(0xFFF9, 0x10000)],
]


def is_text(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def sequences(split: bool = False) -> Iterator[Case]:
    """`split`: in fragments of one octet."""
    for group, members in enumerate(SEQUENCES, 5):
        for member, octets in enumerate(members, 1):
            number = f"6.{group}.{member}"
            sent = fragments(TEXT, pieces(octets, 1)) if split else frame(TEXT, octets)
            yield echoed(number, TEXT, octets, sent) if is_text(octets) else failed(number, sent, code=1007)


def closes() -> Iterator[Case]:
    hello, close = frame(TEXT, b"Hello World!"), frame(CLOSE, end())
    answer = (Frame(CLOSE, end()),)
    yield echoed("7.1.1", TEXT, b"Hello World!")
    yield Case("7.1.2", (close + frame(CLOSE),), answer)
    yield Case("7.1.3", (close + frame(PING),), answer)
    yield Case("7.1.4", (close + hello,), answer)
    yield Case(
        "7.1.5", (frame(TEXT, b"fragment1", fin=False) + close + frame(CONTINUATION, b"fragment2"),), answer
    )
    # How much of it comes back depends on when the close is read.
    long = b"BAsd7&jh23" * 26215
    both = (Frame(TEXT, long), Frame(TEXT, b"Hello World!"))
    possible = tuple((*both[:count], *answer) for count in range(3))
    yield Case("7.1.6", (frame(TEXT, long) + hello + close + frame(PING),), answer, informational=possible)
    yield Case("7.3.1", (frame(CLOSE),), (Frame(CLOSE),))
    yield failed("7.3.2", frame(CLOSE, b"a"))
    for number, reason in ((3, b""), (4, b"Hello World!"), (5, b"*" * 123)):
        yield Case(f"7.3.{number}", (frame(CLOSE, end(1000, reason)),), (Frame(CLOSE, end(1000, reason)),))
    yield failed("7.3.6", frame(CLOSE, end(1000, b"*" * 124)))
    yield failed("7.5.1", frame(CLOSE, end(1000, SURROGATE)), code=1007)


def close_codes() -> Iterator[Case]:
    good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
    for number, code in enumerate(good, 1):
        yield Case(f"7.7.{number}", (frame(CLOSE, end(code)),), (Frame(CLOSE, end(code)),))
    for number, code in enumerate([0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999], 1):
        yield failed(f"7.9.{number}", frame(CLOSE, end(code)))
    for number, code in enumerate([5000, 65535], 1):
        allowed = tuple((Failure(code=allowed),) for allowed in (1000, 1002, code))
        yield Case(f"7.13.{number}", (frame(CLOSE, end(code)),), (Failure(),), informational=allowed)


def volume(number: str, opcode: int, size: int, fragment: int = 0, chop: int = 0) -> Case:
    """A message of this size that comes back."""
    payload = (b"*" if opcode == TEXT else b"\xfe") * size
    whole = fragments(opcode, pieces(payload, fragment)) if fragment else frame(opcode, payload)
    return echoed(number, opcode, payload, *(pieces(whole, chop) if chop else (whole,)))


def conversation(number: str, opcode: int, size: int) -> Case:
    """A hundred messages, each after the echo of the last. Autobahn measures the time of a thousand."""
    payload = (b"*" if opcode == TEXT else b"\xfe") * size
    return clean(number, *(frame(opcode, payload), Frame(opcode, payload)) * 100)


def volumes() -> Iterator[tuple[str, Callable[..., Case], tuple[int, ...]]]:
    """Case by case what makes it: all of them are a lot of memory."""
    megabyte = 1 << 20
    for second, opcode in ((0, TEXT), (1, BINARY)):
        for number, size in enumerate(
            (64 << 10, 256 << 10, *(count * megabyte for count in (1, 4, 8, 16))), 1
        ):
            yield f"9.{1 + second}.{number}", volume, (opcode, size)
        for number in range(1, 10):
            yield f"9.{3 + second}.{number}", volume, (opcode, 4 * megabyte, 16 << 2 * number)
        for number in range(1, 7):
            yield f"9.{5 + second}.{number}", volume, (opcode, megabyte, 0, 32 << number)
        for number, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
            yield f"9.{7 + second}.{number}", conversation, (opcode, size)
    yield "10.1.1", volume, (TEXT, 65536, 1300)


def small() -> Iterator[Case]:
    for cases in (
        framing,
        pings,
        reserved_bits,
        opcodes,
        fragmentation,
        text_messages,
        sequences,
        closes,
        close_codes,
    ):
        yield from cases()
