"""An application for the hooks' tests: what it does is the request's path."""


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raises":
        raise RuntimeError("the application raised")
    if path == "/hangs":
        import time

        time.sleep(60)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"hi\n"]
