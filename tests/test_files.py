"""Files sent by the kernel, and the switch that says no."""

import pytest
from client import fetch


@pytest.mark.parametrize(
    ("arguments", "env", "framing"),
    [
        ((), {}, "length"),
        ((), {"SENDFILE": "yes"}, "length"),
        (("--no-sendfile",), {}, "chunked"),
        ((), {"SENDFILE": "no"}, "chunked"),
    ],
)
def test_sendfile_knows_the_length_and_iteration_does_not(serve, arguments, env, framing) -> None:
    server = serve(*arguments, app="cases:app", env=env)
    response = fetch(server.address, "/iterables/file")
    assert response.framing == framing
    assert response.body == fetch(server.address, "/iterables/file_with_length").body
