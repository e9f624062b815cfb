"""Answers with the scheme, and speaks on the standard output."""


def app(environ, start_response):
    print("printed by the application", flush=True)
    body = environ["wsgi.url_scheme"].encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
