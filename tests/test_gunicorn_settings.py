"""The settings table beside that of the gunicorn which is installed.

Owns the list of the differences there are, each with its reason, and for each setting another legal value
than the default. Must never compare with a copy of gunicorn's list.
Read next: parity/test_settings.py, which compares what settings do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import KNOWN_SETTINGS, Config, make_settings
from rwsgi._rwsgi import settings
from server import APPS

OURS = {setting["name"]: setting for setting in settings()}
THEIRS = make_settings()

# gunicorn's default → ours. Both mean the same.
SAME: dict[str, tuple[Any, Any]] = {
    "forwarded_allow_ips": ("127.0.0.1,::1", ["127.0.0.1", "::1"]),
    "proxy_allow_ips": ("127.0.0.1,::1", ["127.0.0.1", "::1"]),
    "uwsgi_allow_ips": ("127.0.0.1,::1", ["127.0.0.1", "::1"]),
    "pythonpath": (None, []),
    "logger_class": ("gunicorn.glogging.Logger", "rwsgi.glogging.Logger"),
    "forwarder_headers": ("SCRIPT_NAME,PATH_INFO", ["SCRIPT_NAME", "PATH_INFO"]),
}
# Defaults that say where the server was started, or by whom.
DEPENDS = {"config", "chdir", "user", "group", "default_proc_name"}
# There is no socket that a default could name.
ELSEWHERE = {"control_socket"}


@pytest.mark.parametrize("name", [setting.name for setting in KNOWN_SETTINGS])
def test_each_setting_has_its_row(name: str) -> None:
    theirs, ours = THEIRS[name], OURS[name]
    # Those of ASGI stand together here.
    section = ours["section"].replace("ASGI applications", "Worker processes")
    assert section.lower() == theirs.section.lower()
    assert set(theirs.cli or []) <= set(ours["flags"])


@pytest.mark.parametrize("name", sorted({s.name for s in KNOWN_SETTINGS} - DEPENDS - ELSEWHERE))
def test_each_default_is_gunicorns(name: str) -> None:
    theirs, ours = THEIRS[name].default, OURS[name]["default"]
    # gunicorn's default hook is a function that does nothing.
    theirs = None if callable(theirs) else theirs
    assert (theirs, ours) == SAME.get(name, (theirs, theirs))


def test_there_is_a_reason_for_each_difference() -> None:
    assert SAME.keys() | DEPENDS | ELSEWHERE <= OURS.keys()
    for name in ELSEWHERE:
        assert OURS[name]["default"] != THEIRS[name].default


# gunicorn looks for a library that speaks HTTP/2.
UNCHECKED = {"http_protocols"}
# What the command line of the test says wins.
SAID_TWICE = {"config", "wsgi_app", "print_config"}
# A legal value that is not the default, as a config file has it.
VALUES: dict[str, str] = {
    "access_log_format": "'%(h)s'",
    "accesslog": "'access.log'",
    "asgi_disconnect_grace_period": "7",
    "asgi_lifespan": "'off'",
    "asgi_loop": "'asyncio'",
    "backlog": "64",
    "bind": "['127.0.0.1:0', 'unix:sock']",
    "ca_certs": "'ca.pem'",
    "cert_reqs": "2",
    "certfile": "'cert.pem'",
    "chdir": "'sub'",
    "ciphers": "'ECDHE+AESGCM'",
    "config": "'other.py'",
    "control_socket": "'ctl'",
    "control_socket_mode": "0o660",
    "default_proc_name": "'shop'",
    "dirty_apps": "['m:C']",
    "dirty_graceful_timeout": "7",
    "dirty_threads": "2",
    "dirty_timeout": "7",
    "dirty_workers": "1",
    "dogstatsd_tags": "'a:b'",
    "errorlog": "'error.log'",
    "forwarded_allow_ips": "'10.0.0.0/8'",
    "forwarder_headers": "'REMOTE_USER'",
    "graceful_timeout": "7",
    "group": "'root'",
    "header_map": "'refuse'",
    "http2_cleartext": "'upgrade'",
    "http2_initial_window_size": "70000",
    "http2_max_concurrent_streams": "7",
    "http2_max_frame_size": "20000",
    "http2_max_header_list_size": "70000",
    "http_parser": "'python'",
    "http_protocols": "'h2,h1'",
    "keepalive": "7",
    "keyfile": "'key.pem'",
    "limit_request_field_size": "7",
    "limit_request_fields": "7",
    "limit_request_line": "7",
    "logconfig": "'log.ini'",
    "logconfig_dict": "{'version': 1}",
    "logconfig_json": "'log.json'",
    "logger_class": "'gunicorn.instrument.statsd.Statsd'",
    "loglevel": "'warning'",
    "max_requests": "7",
    "max_requests_jitter": "7",
    "on_exit": "lambda server: None",
    "paste": "'app.ini'",
    "pidfile": "'pid'",
    "post_request": "lambda worker, req, environ, resp: None",
    "proc_name": "'shop'",
    "protocol": "'uwsgi'",
    "proxy_allow_ips": "'10.0.0.1'",
    "proxy_protocol": "'v2'",
    "pythonpath": "'sub'",
    "raw_env": "['A=B']",
    "raw_paste_global_conf": "['a=b']",
    "reload_engine": "'poll'",
    "reload_extra_files": "['conf.py']",
    "root_path": "'/shop'",
    "secure_scheme_headers": "{'X-SSL': 'on'}",
    "sendfile": "False",
    "ssl_version": "17",
    "statsd_host": "'localhost:8125'",
    "statsd_prefix": "'shop'",
    "suppress_ragged_eofs": "False",
    "syslog_addr": "'unix:///dev/log#dgram'",
    "syslog_facility": "'local3'",
    "syslog_prefix": "'shop'",
    "threads": "2",
    "timeout": "7",
    "tmp_upload_dir": "'sub'",
    "umask": "0o22",
    "user": "'root'",
    "uwsgi_allow_ips": "'10.0.0.1'",
    "websocket_max_message_size": "7",
    "worker_class": "'gthread'",
    "worker_connections": "7",
    "worker_tmp_dir": "'sub'",
    "workers": "7",
    "wsgi_app": "'hello:app'",
}


def another_value(name: str) -> str:
    """Switches and hooks need no example of their own."""
    if name in VALUES:
        return VALUES[name]
    default = THEIRS[name].default
    if callable(default):
        return f"lambda {', '.join('abcd'[: default.__code__.co_argcount])}: None"
    assert isinstance(default, bool), f"no value for {name}"
    return str(not default)


@pytest.fixture
def check(run, tmp_path: Path):
    """What --print-config says of a file in which the setting has another value than its default."""

    def check(name: str) -> tuple[int, str, str]:
        (tmp_path / "sub").mkdir()
        for place in (tmp_path, tmp_path / "sub"):
            (place / "hello.py").write_text((APPS / "hello.py").read_text())
        (tmp_path / "log.ini").write_text(LOG_INI)
        (tmp_path / "log.json").write_text('{"version": 1}')
        (tmp_path / "app.ini").write_text("[app:main]\npaste.app_factory = hello:paste\n")
        (tmp_path / "conf.py").write_text(f"{name} = {another_value(name)}\n")
        return run("-c", "conf.py", "--print-config", "hello:app", cwd=tmp_path)

    return check


LOG_INI = """[loggers]
keys=root
[handlers]
keys=console
[formatters]
keys=plain
[logger_root]
handlers=console
[handler_console]
class=StreamHandler
formatter=plain
args=(sys.stderr,)
[formatter_plain]
format=%(message)s
"""


@pytest.mark.parametrize("name", [setting.name for setting in KNOWN_SETTINGS])
def test_taken_or_refused_with_a_reason(check, name: str, tmp_path: Path, monkeypatch) -> None:
    status, stdout, stderr = check(name)
    monkeypatch.chdir(tmp_path)
    if name not in UNCHECKED:
        Config().set(name, eval(another_value(name)))
    if not OURS[name]["works"]:
        says = "is not supported yet: " if status else "has no effect: "
        assert f"conf.py:1: {name} {says}" in stderr
        return
    if status:
        assert f"conf.py:1: invalid value for {name}" in stderr
        assert "not supported yet" in stderr
        return
    line = next(line for line in stdout.splitlines() if line.startswith(f"{name} "))
    assert "conf.py:1" in line or name in SAID_TWICE, line
