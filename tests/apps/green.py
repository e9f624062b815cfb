"""For worker classes that patch Python: what is patched when, raw sockets, and calls that block elsewhere."""

import base64
import hashlib
import socket
import time

from hello import app as hello


def patched():
    """Which library has patched Python's sockets."""
    return socket.socket.__module__.partition(".")[0].lstrip("_")


AT_IMPORT = patched()
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def answer(start_response, text):
    body = str(text).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def at_import(environ, start_response):
    return answer(start_response, AT_IMPORT)


def local(environ, start_response):
    """What this request's thread-local state is before it is set: whose is it?"""
    import threading

    store = globals().setdefault("STORE", threading.local())
    before = getattr(store, "value", "nothing")
    store.value = environ["QUERY_STRING"]
    return answer(start_response, before)


def receive(sock, count):
    received = b""
    while len(received) < count:
        piece = sock.recv(count - len(received))
        if not piece:
            raise StopIteration
        received += piece
    return received


def echo_socket(environ, start_response):
    """A websocket that sends back what it gets, by the socket of the environ."""
    sock = environ["gunicorn.socket"]
    key = hashlib.sha1(environ["HTTP_SEC_WEBSOCKET_KEY"].encode() + GUID).digest()
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n"
    )
    while True:
        opcode, length = receive(sock, 2)
        mask = receive(sock, 4)
        data = receive(sock, length & 0x7F)
        plain = bytes(byte ^ mask[number % 4] for number, byte in enumerate(data))
        if opcode & 0x0F == 8:
            raise StopIteration
        sock.sendall(bytes([opcode, len(plain)]) + plain)


def stops(environ, start_response):
    """Not a hand-over: nothing was said to the client."""
    raise StopIteration


def calls(environ, start_response):
    """Asks another server, given by HOST:PORT in the query, and answers with what it said."""
    from urllib.request import urlopen

    with urlopen(f"http://{environ['QUERY_STRING']}/slow/app?0.5") as response:
        return answer(start_response, response.read().decode())


# How a library in C would wait; a hook changes it, as psycogreen's does.
WAIT = time.sleep


def waits(environ, start_response):
    WAIT(1)
    return hello(environ, start_response)


def spins(environ, start_response):
    """Keeps the interpreter for itself."""
    end = time.monotonic() + float(environ["QUERY_STRING"])
    while time.monotonic() < end:
        pass
    return hello(environ, start_response)


def pours(environ, start_response):
    """More than a server keeps for a client that does not read."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(256):
        yield b"x" * 65536
