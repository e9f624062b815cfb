"""Answers with what the server told it of the request, as JSON."""

import json

PLAIN = (
    "REQUEST_METHOD",
    "RAW_URI",
    "PATH_INFO",
    "QUERY_STRING",
    "SERVER_PROTOCOL",
    "SCRIPT_NAME",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "REMOTE_ADDR",
    "wsgi.url_scheme",
)


def app(environ, start_response):
    told = {key: environ[key] for key in environ if key in PLAIN or key.startswith("HTTP_")}
    # What is wrong with the body is for the server to say.
    told["body"] = environ["wsgi.input"].read().decode("latin-1")
    body = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
