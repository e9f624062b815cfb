"""`logger_class`: the logger that stands in the place of the native logs, in Python.

Owns the interface that subclasses rely on, which is gunicorn's, and what the logging configurations mean.
Imported when a setting asks for it and nowhere else. Must never be needed by a server without such settings.
Read next: src/py/bridge.rs, which calls it.
"""

from __future__ import annotations

import configparser
import json
import logging
import logging.config
import logging.handlers
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

# What a dictionary or a JSON file says stands over this, name by name at the top level.
CONFIG_DEFAULTS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["error_console"], "propagate": True},
        "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": True},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "generic",
            "stream": "ext://sys.stdout",
        },
        "error_console": {
            "class": "logging.StreamHandler",
            "formatter": "generic",
            "stream": "ext://sys.stderr",
        },
    },
    "formatters": {
        "generic": {
            "class": "logging.Formatter",
            "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
        }
    },
}
# Each logger has a second name; both lead to the same handlers.
OTHER_NAMES = {"rwsgi.error": "gunicorn.error", "rwsgi.access": "gunicorn.access"}


class SafeAtoms(dict[str, Any]):
    """What a line of the access log may show; `-` for what there is not."""

    def __init__(self, atoms: Mapping[str, Any]) -> None:
        super().__init__((name, _unquoted(value)) for name, value in atoms.items())

    def __getitem__(self, name: str) -> Any:
        return self.get(name.lower() if name.startswith("{") else name, "-")


def _unquoted(value: Any) -> Any:
    """Nothing a client sends may end the quotes or the line that it stands in."""
    if not isinstance(value, str):
        return value
    if value.isprintable():
        return value.replace('"', '\\"')
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value).replace(
        '"', '\\"'
    )


class Logger:
    """The error log and the access log of one process.

    A subclass may replace any of its methods; the server calls `critical` to `debug`, `exception`, `access`
    and `reopen_files`. An exception that it raises costs the line, not the request.
    """

    LOG_LEVELS: ClassVar[dict[str, int]] = {
        "critical": logging.CRITICAL,
        "error": logging.ERROR,
        "warning": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
    }
    loglevel = logging.INFO

    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = "[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"

    atoms_wrapper_class: type = SafeAtoms

    def __init__(self, cfg: Any) -> None:
        self.error_log = logging.getLogger("gunicorn.error")
        self.access_log = logging.getLogger("gunicorn.access")
        for log in (self.error_log, self.access_log):
            log.propagate = False
        self.error_handlers: list[logging.Handler] = []
        self.access_handlers: list[logging.Handler] = []
        self.logfile = None
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg: Any) -> None:
        """Makes the loggers what `cfg` says.

        After it has failed for another `cfg`, calling it again brings back the old.

        Raises RuntimeError, with a sentence, for a logging configuration that does not work.
        """
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        for log in (self.error_log, self.access_log):
            _drop_own_handlers(log)
        self._set_handler(self.error_log, cfg.errorlog, logging.Formatter(self.error_fmt, self.datefmt))
        self._set_handler(self.access_log, cfg.accesslog, logging.Formatter(self.access_fmt), sys.stdout)
        if cfg.syslog:
            self._set_syslog_handler(self.error_log, cfg, self.syslog_fmt, "error")
            if not cfg.disable_redirect_access_to_syslog:
                self._set_syslog_handler(self.access_log, cfg, self.syslog_fmt, "access")
        _configure(cfg)
        _share_names()

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl: int | str, msg: object, *args: object, **kwargs: Any) -> None:
        """`lvl`: a level's name or number."""
        level = self.LOG_LEVELS.get(lvl.lower(), logging.INFO) if isinstance(lvl, str) else lvl
        self.error_log.log(level, msg, *args, **kwargs)

    @property
    def access_log_enabled(self) -> bool:
        """Whether anybody is to be told of requests."""
        cfg = self.cfg
        configured = cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
        return bool(cfg.accesslog or configured or (cfg.syslog and not cfg.disable_redirect_access_to_syslog))

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> dict[str, Any]:
        """What a line may show of a request, by the names of `access_log_format`."""
        status = resp.status
        if isinstance(status, str):
            status = status.split(None, 1)[0]
        seconds, microseconds = request_time.seconds, request_time.microseconds
        sent = getattr(resp, "sent", None)
        line = (environ.get("REQUEST_METHOD"), environ.get("RAW_URI"), environ.get("SERVER_PROTOCOL"))
        atoms = {
            "h": environ.get("REMOTE_ADDR", "-"),
            "l": "-",
            "u": _basic_user(environ.get("HTTP_AUTHORIZATION", "")) or "-",
            "t": self.now(),
            "r": "{} {} {}".format(*line),
            "s": status,
            "m": environ.get("REQUEST_METHOD"),
            "U": environ.get("PATH_INFO"),
            "q": environ.get("QUERY_STRING"),
            "H": environ.get("SERVER_PROTOCOL"),
            "b": "-" if sent is None else str(sent),
            "B": sent,
            "f": environ.get("HTTP_REFERER", "-"),
            "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": seconds,
            "M": seconds * 1000 + microseconds // 1000,
            "D": seconds * 1_000_000 + microseconds,
            "L": f"{seconds}.{microseconds:06}",
            "p": f"<{os.getpid()}>",
        }
        for kind, pairs in (("i", getattr(req, "headers", req)), ("o", resp.headers), ("e", environ)):
            atoms.update((f"{{{name.lower()}}}{kind}", value) for name, value in _pairs(pairs))
        return atoms

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Logs a request that was answered. Called for each of them."""
        if not self.access_log_enabled:
            return
        atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
        try:
            self.access_log.info(self.cfg.access_log_format, atoms)
        except Exception:
            self.error(traceback.format_exc())

    def now(self) -> str:
        """The time, as the atom `t` has it."""
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def reopen_files(self) -> None:
        """Opens the files of all loggers again, after a rotation."""
        for handler in _file_handlers():
            with handler.lock or open(os.devnull):
                if handler.stream:
                    handler.stream.close()
                    handler.stream = handler._open()

    def close_on_exec(self) -> None:
        """Nothing: files that Python opens are closed by execve(2) already (PEP 446)."""

    def _set_handler(
        self, log: logging.Logger, output: str | None, fmt: logging.Formatter, stream: Any = None
    ) -> None:
        _drop_own_handlers(log)
        if output is None:
            return
        if output == "-":
            handler: logging.Handler = logging.StreamHandler(stream)
        else:
            handler = logging.FileHandler(output)
            try:
                # The workers must be able to open it again.
                os.chown(output, self.cfg.uid, self.cfg.gid)
            except OSError:
                # A device, or not ours: whoever made it decides.
                pass
        handler.setFormatter(fmt)
        _add_own_handler(log, handler)

    def _set_syslog_handler(self, log: logging.Logger, cfg: Any, fmt: str, name: str) -> None:
        prefix = cfg.syslog_prefix or cfg.proc_name.replace(":", ".")
        facility = logging.handlers.SysLogHandler.facility_names[cfg.syslog_facility]
        kind, address = _syslog_address(cfg.syslog_addr)
        handler = logging.handlers.SysLogHandler(facility=facility, socktype=kind, address=address)
        handler.setFormatter(logging.Formatter(f"gunicorn.{prefix}.{name}: {fmt}"))
        _add_own_handler(log, handler)


class Routed(Logger):
    """The loggers as they are: somebody has added filters or handlers to them."""

    def setup(self, cfg: Any) -> None:
        self.loglevel = self.error_log.level


def _add_own_handler(log: logging.Logger, handler: logging.Handler) -> None:
    handler._rwsgi = True  # type: ignore[attr-defined]
    log.addHandler(handler)


def _drop_own_handlers(log: logging.Logger) -> None:
    for handler in list(log.handlers):
        if getattr(handler, "_rwsgi", False):
            log.removeHandler(handler)


def _pairs(given: Any) -> Iterable[tuple[str, Any]]:
    return given.items() if hasattr(given, "items") else given


def _basic_user(authorization: str) -> str | None:
    """The name in a field `Authorization: Basic …` (RFC 7617)."""
    from base64 import b64decode

    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(credentials.strip()).decode("utf-8").partition(":")[0]
    except ValueError:
        return None


def _file_handlers() -> list[logging.FileHandler]:
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    loggers = (log for log in known if isinstance(log, logging.Logger))
    handlers = {id(handler): handler for log in loggers for handler in log.handlers}
    return [handler for handler in handlers.values() if isinstance(handler, logging.FileHandler)]


def _syslog_address(text: str) -> tuple[socket.SocketKind | None, str | tuple[str, int]]:
    """The kind of socket and the address; any kind for a unix socket that names none."""
    scheme, _, rest = text.partition("://")
    if scheme == "unix":
        path, _, kind = rest.partition("#")
        return {"dgram": socket.SOCK_DGRAM, "stream": socket.SOCK_STREAM}.get(kind), path
    host, _, port = rest.rpartition(":")
    return socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM, (host.strip("[]"), int(port))


def _configure(cfg: Any) -> None:
    """The first of the dictionary, the JSON file and the ini file that there is."""
    try:
        if cfg.logconfig_dict:
            _configure_by_dict(cfg.logconfig_dict)
        elif cfg.logconfig_json:
            with open(cfg.logconfig_json, encoding="utf-8") as file:
                _configure_by_dict(json.load(file))
        elif cfg.logconfig:
            _configure_by_ini(cfg.logconfig)
    except FileNotFoundError as error:
        if error.filename not in (cfg.logconfig, cfg.logconfig_json):
            raise RuntimeError(_reasons(error)) from error
        raise RuntimeError(f"log config '{error.filename}' not found") from error
    except Exception as error:
        raise RuntimeError(_reasons(error)) from error


def _reasons(error: BaseException | None) -> str:
    """`Unable to configure handler 'x': there is no …`: logging's own words say where, the cause says why."""
    reasons = []
    while error is not None and len(reasons) < 3:
        reasons.append(str(error) or type(error).__name__)
        error = error.__cause__
    return ": ".join(reasons)


def _configure_by_dict(given: Mapping[str, Any]) -> None:
    config = {**CONFIG_DEFAULTS, **given}
    loggers = config.get("loggers", {})
    config["loggers"] = {OTHER_NAMES.get(name, name): value for name, value in loggers.items()}
    logging.config.dictConfig(config)


def _configure_by_ini(path: str) -> None:
    here = os.path.dirname(path)
    parser = configparser.ConfigParser({"__file__": path, "here": here})
    with open(path, encoding="utf-8") as file:
        parser.read_file(file)
    for section in parser.values():
        name = section.get("qualname", raw=True)
        if name in OTHER_NAMES:
            section["qualname"] = OTHER_NAMES[name]
    logging.config.fileConfig(parser, disable_existing_loggers=False)


def _share_names() -> None:
    for other, name in OTHER_NAMES.items():
        log, alias = logging.getLogger(name), logging.getLogger(other)
        alias.handlers, alias.filters = log.handlers, log.filters
        alias.propagate = log.propagate
        alias.setLevel(log.level)
