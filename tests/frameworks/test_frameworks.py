"""Flask and Django in every kind of worker: examples/flask_app.py and examples/django_app.py."""

import json

import pytest
from client import encode, exchange, fetch
from server import HERE

EXAMPLES = HERE.parent / "examples"
BOUNDARY = "frontier"


def multipart(name: str, content: bytes) -> tuple[tuple[str, str], bytes]:
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + content
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )
    return ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"), body


@pytest.fixture(scope="module", params=["sync", "gevent", "eventlet"])
def worker_class(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=["flask_app:app", "django_app"])
def site(request: pytest.FixtureRequest, worker_class: str, module_serve):
    return module_serve("-w", "2", "-k", worker_class, app=request.param, cwd=EXAMPLES)


def test_json(site) -> None:
    response = fetch(site.address, "/?name=caf%C3%A9")
    assert response.status == 200
    assert response.value("Content-Type") == "application/json"
    assert json.loads(response.body) == {"hello": "caf\xe9"}


def test_not_found(site) -> None:
    assert fetch(site.address, "/nowhere").status == 404


def test_head(site) -> None:
    response = fetch(site.address, "/", method="HEAD")
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize("size", [0, 1000, 5_000_000])
def test_upload(site, size: int) -> None:
    field, body = multipart("file.bin", b"x" * size)
    response = exchange(site.address, encode("POST", "/upload", field, body=body))
    assert json.loads(response.body) == {"name": "file.bin", "size": size}


def test_stream(site) -> None:
    response = fetch(site.address, "/stream")
    assert response.framing == "chunked"
    assert response.body == b"".join(b"line %d\n" % number for number in range(10))


def test_nothing_is_complained_about(site) -> None:
    assert "Error handling request" not in site.stderr
    assert "Traceback" not in site.stderr
