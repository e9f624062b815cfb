"""The smallest application: `rwsgi -w 3 test:app` in this directory, then curl http://127.0.0.1:8000."""


def app(environ, start_response):
    body = b"Hello, World!\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
