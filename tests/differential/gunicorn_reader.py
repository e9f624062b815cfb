"""What gunicorn's own parser makes of a stream, in this process, without a socket.

Owns the driving of `gunicorn.http`. Must never judge: it tells what happened, as readings.py does for us.
Read next: compare.py.
"""

from __future__ import annotations

from functools import cache

from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from readings import NOTHING, Reading, Request
from streams import FLAGS, LIMITS

ADDRESS = ("127.0.0.1", 4711)


class Settings:
    """The settings that the parser looks at. gunicorn's `Config` takes longer to tell them than a head."""

    def __init__(self, flags: int, parser: str):
        config = Config()
        config.set("http_parser", parser)
        config.set("forwarded_allow_ips", "192.0.2.1")
        for bit, name in enumerate(FLAGS):
            if flags >> bit & 1:
                self.switch_on(config, name)
        for name, setting in config.settings.items():
            setattr(self, name, setting.get())
        networks, proxies = config.forwarded_allow_networks(), config.proxy_allow_networks()
        self.is_ssl = config.is_ssl
        self.forwarded_allow_networks = lambda: networks
        self.proxy_allow_networks = lambda: proxies

    @staticmethod
    def switch_on(config: Config, name: str) -> None:
        if name == "limits":
            for limit, value in LIMITS.items():
                config.set(limit, value)
        elif name == "trusted":
            config.set("forwarded_allow_ips", ADDRESS[0])
        else:
            name, _, value = name.partition("=")
            config.set(name, value or True)


@cache
def settings(flags: int, parser: str) -> Settings:
    return Settings(flags, parser)


def read(flags: int, stream: bytes, parser: str) -> Reading:
    """The requests of a connection that brings `stream` and closes, and how it ended."""
    requests: list[Request] = []
    messages = RequestParser(settings(flags, parser), iter((stream,)), ADDRESS)
    while True:
        message = None
        try:
            message = next(messages)
            body = message.body.read()
        except StopIteration:
            return Reading(requests, NOTHING)
        except NoMoreData:
            return Reading(requests, "truncated", request_of(message))
        # Whatever else is raised is a crash of gunicorn's, which ends the comparison.
        except (ParseException, OSError) as error:
            return Reading(requests, type(error).__name__, request_of(message))
        request = request_of(message)
        assert request
        request.body, request.trailers = body, list(message.trailers)
        request.is_short = is_short(request)
        requests.append(request)
        if message.should_close():
            return Reading(requests, "close")


def request_of(message: object | None) -> Request | None:
    if message is None:
        return None
    major, minor = message.version
    version, fields = f"HTTP/{major}.{minor}", list(message.headers)
    return Request(message.method, message.uri, message.path, message.query, version, fields)


def is_short(request: Request) -> bool:
    """gunicorn calls a body whole that ended before its Content-Length."""
    lengths = [value for name, value in request.fields if name == "CONTENT-LENGTH"]
    return bool(lengths) and int(lengths[0]) > len(request.body)
