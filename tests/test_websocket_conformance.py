"""The cases of websocket_cases.py against an echoing application: each frame that comes, and how it ends.

Owns the client: bytes on a socket, and a decoder that forgives nothing. A line at the end says how many cases
went strictly, leniently (Autobahn's NON-STRICT) or were informational.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import websocket_cases as corpus
from client import DEADLINE, Connection, fetch
from server import Running
from websocket_cases import BINARY, CLOSE, PING, PONG, TEXT, Case, Failure, Frame, Pause, fragments, pieces

HANDSHAKE = (
    b"GET /ws_echo HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
# What a server that means to wait is watched for.
LENIENCE = 0.1


class Client(Connection):
    """An open WebSocket."""

    def __init__(self, server: Running):
        super().__init__(server.address)
        if isinstance(server.address, tuple):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().send(HANDSHAKE)
        assert self.head().status == 101
        # The server closes while something is still being sent.
        self.interrupted = False

    def send(self, data: bytes) -> None:
        try:
            super().send(data)
        except ConnectionError:
            self.interrupted = True

    def fill(self) -> bool:
        try:
            return super().fill()
        except ConnectionResetError:
            assert self.interrupted, "the connection was reset"
            self.eof = True
            return False

    def frame(self) -> Frame | None:
        """The next one; nothing at the end."""
        if not self.received and not self.fill():
            return None
        first, length = self.exactly(2)
        assert first & 0xF0 == 0x80, f"no fragment, no reserved bit: {first:#x}"
        opcode = first & 0x0F
        assert opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        assert length < 126 or opcode in (TEXT, BINARY), "a control frame is short, and no frame is masked"
        assert length <= 127
        if length == 126:
            (length,) = struct.unpack("!H", self.exactly(2))
            assert length > 125
        elif length == 127:
            (length,) = struct.unpack("!Q", self.exactly(8))
            assert length > 65535
        payload = self.exactly(length)
        if opcode == TEXT or opcode == CLOSE:
            payload[2 * (opcode == CLOSE) :].decode()
        return Frame(opcode, payload)

    def rest_of_frames(self) -> tuple[Frame, ...]:
        return tuple(iter(self.frame, None))

    def is_silent(self) -> bool:
        self.socket.settimeout(LENIENCE)
        try:
            if not self.received:
                self.fill()
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(DEADLINE)


def play(client: Client, case: Case, octets: bool) -> str:
    """Strict, lenient or informational: whatever else comes is wrong."""
    lenient, client.interrupted = False, octets
    for step in case.script:
        if isinstance(step, Frame):
            answer = client.frame()
            assert answer is not None and step.is_met_by(answer), f"{str(answer)[:200]} for {str(step)[:200]}"
        elif isinstance(step, Pause):
            # That nothing comes is what is looked for.
            if not client.is_silent():
                break
            lenient = True
        else:
            for piece in pieces(step, 1) if octets else (step,):
                client.send(piece)
    came = client.rest_of_frames()
    assert client.eof
    if case.informational:
        assert any(meet(came, expected) for expected in case.informational), str(came)[:500]
        return "informational"
    if meet(came, case.strict):
        return "lenient" if lenient else "strict"
    assert case.lenient is not None and meet(came, case.lenient), str(came)[:500]
    return "lenient"


def meet(came: tuple[Frame, ...], expected: tuple[Frame, ...]) -> bool:
    pairs = zip(expected, came, strict=False)
    return len(came) == len(expected) and all(one.is_met_by(other) for one, other in pairs)


@pytest.fixture(scope="module")
def shared(module_serve: Callable[..., Running]) -> Running:
    return module_serve("-k", "asgi", app="asgi_cases:app")


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    outcomes: dict[str, str] = {}
    yield outcomes
    count = Counter(outcomes.values())
    told = ", ".join(f"{count[kind]} {kind}" for kind in ("strict", "lenient", "informational"))
    lenient = " ".join(number for number, kind in outcomes.items() if kind == "lenient")
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\nAutobahn's cases: {len(outcomes)} passed, {told} (lenient: {lenient or 'none'})")


def numbered(cases: Iterator[Case]) -> list[pytest.param]:
    return [pytest.param(case, id=case.number) for case in cases]


@pytest.mark.parametrize("case", numbered(corpus.small()))
def test_case(shared: Running, outcomes: dict[str, str], case: Case) -> None:
    with Client(shared) as client:
        outcomes[case.number] = play(client, case, octets=False)


@pytest.mark.parametrize(
    ("number", "make", "of"), [pytest.param(*volume, id=volume[0]) for volume in corpus.volumes()]
)
def test_volume(
    shared: Running, outcomes: dict[str, str], number: str, make: Callable[..., Case], of: tuple[int, ...]
) -> None:
    with Client(shared) as client:
        outcomes[number] = play(client, make(number, *of), octets=False)


@pytest.mark.parametrize("case", numbered(case for case in corpus.small() if case.size < 1000))
def test_case_cut_at_every_octet(shared: Running, case: Case) -> None:
    with Client(shared) as client:
        play(client, case, octets=True)


@pytest.mark.parametrize("case", numbered(corpus.sequences(split=True)))
def test_text_in_fragments_of_an_octet(shared: Running, case: Case) -> None:
    with Client(shared) as client:
        play(client, case, octets=False)


@pytest.mark.parametrize("cut", [1000, 600], ids=["in one frame", "in two"])
def test_the_limit_of_a_message_is_exact(serve: Callable[..., Running], cut: int) -> None:
    server = serve("-k", "asgi", "--websocket-max-message-size", "1000", app="asgi_cases:app")
    with Client(server) as client:
        client.send(fragments(BINARY, pieces(b"x" * 1000, cut)))
        assert client.frame() == Frame(BINARY, b"x" * 1000)
        client.send(fragments(BINARY, pieces(b"x" * 1001, cut)))
        assert meet(client.rest_of_frames(), (Failure(code=1009),))


@pytest.mark.parametrize("limit", [0, 1000])
def test_a_frame_that_is_too_long_is_refused_by_its_head(serve: Callable[..., Running], limit: int) -> None:
    """And no memory is asked for, which would end the worker where there is no limit to messages."""
    server = serve("-k", "asgi", "--websocket-max-message-size", str(limit), app="asgi_cases:app")
    for length in (1 << 29, 1 << 46, 1 << 62, (1 << 64) - 1):
        with Client(server) as client:
            client.send(b"\x82\xff" + struct.pack("!Q", length) + b"mask")
            assert meet(client.rest_of_frames(), (Failure(code=1009),))
    assert "died" not in server.stderr and fetch(server.address).status == 200
