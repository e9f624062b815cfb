"""The application of tornado's own that is measured."""

from tornado.web import Application, RequestHandler


class Hello(RequestHandler):
    def get(self):
        self.write("Hello, world!")


app = Application([("/", Hello)])
