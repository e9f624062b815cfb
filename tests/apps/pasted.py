"""Factories for PasteDeploy files: one makes an application of all it is given, two fail."""

import json


def make(global_conf, **local_conf):
    body = json.dumps({"global": dict(global_conf), "local": local_conf}).encode()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return app


def failing(global_conf):
    raise RuntimeError("no database")


def nothing(global_conf):
    return None
