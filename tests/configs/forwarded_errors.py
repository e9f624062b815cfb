"""Errors of the server go to another place as well: a handler on its logger."""

import logging
import os


class Elsewhere(logging.Handler):
    def emit(self, record):
        with open(os.environ["ELSEWHERE"], "a") as file:
            name = record.exc_info[0].__name__ if record.exc_info else "-"
            file.write(f"{record.levelname} {name} {record.getMessage().splitlines()[0]}\n")


def post_fork(server, worker):
    logging.getLogger("gunicorn.error").addHandler(Elsewhere(level=logging.WARNING))
