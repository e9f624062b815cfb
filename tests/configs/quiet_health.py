"""Health checks stay out of the access log: a filter on its logger, added when the server starts."""

import logging

accesslog = "-"


class NotHealth(logging.Filter):
    def filter(self, record):
        return "/health" not in record.getMessage()


def on_starting(server):
    logging.getLogger("gunicorn.access").addFilter(NotHealth())
