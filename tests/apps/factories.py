"""Application specifications of every kind: factories, attributes, and what is not an application."""

from hello import app as hello


def saying(text):
    def app(environ, start_response):
        body = text.encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return app


def plain():
    return saying("plain")


def joined(*words, sep=" "):
    return saying(sep.join(str(word) for word in words))


def failing():
    raise RuntimeError("the factory failed")


def nothing():
    return None


class Site:
    application = staticmethod(hello)

    def __call__(self, environ, start_response):
        return hello(environ, start_response)


site = Site()
missing = None
number = 7
application = saying("the default name")
