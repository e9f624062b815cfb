"""Statuses and header fields, valid and invalid, one callable each."""

import sys

PLAIN = [("Content-Type", "text/plain")]


def answer(status, fields, blocks=(b"body",)):
    def case(environ, start_response):
        start_response(status, fields)
        return list(blocks)

    return case


created = answer("201 Created", PLAIN)
own_reason = answer("299 Quite Fine", PLAIN)
no_content = answer("204 No Content", [])
no_content_with_body = answer("204 No Content", [("Content-Length", "4")])
not_modified = answer("304 Not Modified", [("ETag", '"x"')], ())
not_modified_with_body = answer("304 Not Modified", [("Content-Length", "4")])
not_found = answer("404 Not Found", PLAIN)
repeated = answer("200 OK", [("Set-Cookie", "a=1"), ("Content-Type", "text/plain"), ("Set-Cookie", "b=2")])
own_case = answer("200 OK", [("x-LOWER-Upper", "as Given")])
padded = answer("200 OK", [("X-Padded", "  \t value \t ")])
latin = answer("200 OK", [("X-Latin", "caf\xe9")])
empty_value = answer("200 OK", [("X-Empty", "")])
hop_by_hop = answer(
    "200 OK",
    [
        ("Connection", "keep-alive"),
        ("Keep-Alive", "timeout=9"),
        ("TE", "x"),
        ("Trailers", "x"),
        ("Upgrade", "h2c"),
    ],
)
proxy_fields = answer(
    "200 OK", [("Proxy-Authenticate", "x"), ("Proxy-Authorization", "x"), ("X-Kept", "yes")]
)
own_coding = answer("200 OK", [("Transfer-Encoding", "gzip")])
own_server = answer("200 OK", [("Server", "mine"), ("Date", "never")])

bad_status_text = answer("OK", PLAIN)
bad_status_short = answer("20 OK", PLAIN)
bad_status_newline = answer("200 OK\r\nX-Injected: 1", PLAIN)
bad_status_unicode = answer("200 \u2713", PLAIN)
bad_value_newline = answer("200 OK", [("X-Bad", "a\r\nX-Injected: 1")])
bad_value_lf = answer("200 OK", [("X-Bad", "a\nX-Injected: 1")])
bad_value_nul = answer("200 OK", [("X-Bad", "a\0b")])
bad_value_unicode = answer("200 OK", [("X-Bad", "\u2713")])
bad_value_type = answer("200 OK", [("X-Bad", 7)])
bad_name_space = answer("200 OK", [("X Bad", "a")])
bad_name_colon = answer("200 OK", [("X:Bad", "a")])
bad_name_newline = answer("200 OK", [("X-Bad\r\nX-Injected", "a")])
bad_name_empty = answer("200 OK", [("", "a")])
bad_name_type = answer("200 OK", [(b"X-Bad", "a")])
bad_length = answer("200 OK", [("Content-Length", "four")])
status_bytes = answer(b"200 OK", PLAIN)


def twice(environ, start_response):
    start_response("200 OK", PLAIN)
    start_response("201 Created", PLAIN)
    return [b"body"]


def twice_with_exc_info(environ, start_response):
    start_response("200 OK", [*PLAIN, ("X-First", "1")])
    try:
        raise RuntimeError("found out in time")
    except RuntimeError:
        start_response("503 Service Unavailable", [*PLAIN, ("X-Second", "2")], sys.exc_info())
    return [b"replaced"]


def exc_info_after_head(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"sent"
    try:
        raise RuntimeError("found out too late")
    except RuntimeError:
        start_response("500 Internal Server Error", PLAIN, sys.exc_info())
    yield b"never"


def three_positional(environ, start_response):
    start_response("200 OK", PLAIN, None)
    return [b"body"]


def keyword_exc_info(environ, start_response):
    start_response("200 OK", PLAIN, exc_info=None)
    return [b"body"]
