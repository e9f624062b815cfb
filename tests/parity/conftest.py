"""The parity suite: every test here runs on gunicorn and on rwsgi.

Owns the `kind` parameter and the marker `better(reason)`: gunicorn must fail such a test, so that the list of
differences stays true. A test that fails on gunicorn and is not marked is a wrong test.
Read next: ../conftest.py.
"""

import pytest
from server import KINDS, Kind


@pytest.fixture(scope="session", params=["gunicorn", "rwsgi"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(autouse=True)
def expected_difference(request: pytest.FixtureRequest, kind: Kind) -> None:
    mark = request.node.get_closest_marker("better")
    if mark and kind.name == "gunicorn":
        request.applymarker(pytest.mark.xfail(reason=mark.args[0], strict=True))
