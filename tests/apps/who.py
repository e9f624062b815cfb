"""Tells as whom it runs."""

import json
import os


def app(environ, start_response):
    who = {"uids": os.getresuid(), "gids": os.getresgid(), "groups": sorted(os.getgroups())}
    body = json.dumps(who).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
