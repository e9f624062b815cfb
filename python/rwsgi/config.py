"""`Config`: the settings of a program that embeds the server.

Owns the interface that programs written for gunicorn rely on. Values, messages and layers are those of the
settings table, behind `_rwsgi.Draft`. Must never know a setting by name.
Read next: app/base.py, which makes one; src/py/draft.rs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rwsgi import _rwsgi

if TYPE_CHECKING:
    from argparse import ArgumentParser

ARGUMENTS = ("RWSGI_CMD_ARGS", "GUNICORN_CMD_ARGS")


class Setting:
    """One setting of a `Config`."""

    def __init__(self, config: Config, name: str, facts: _rwsgi.Setting | None) -> None:
        self._config = config
        self.name = name
        self.section = facts["section"] if facts else None
        self.cli = facts["flags"] if facts else []
        self.default = facts["default"] if facts else None
        self.short = facts["short"] if facts else None

    @property
    def value(self) -> Any:
        return getattr(self._config, self.name)

    @value.setter
    def value(self, value: Any) -> None:
        self._config.set(self.name, value)

    def get(self) -> Any:
        return self.value

    def set(self, value: Any) -> None:
        self.value = value


class Settings(Mapping[str, Setting]):
    """Every setting by name. Those of gunicorn that are refused are in it, so that none is dropped unseen."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._facts = {setting["name"]: setting for setting in _rwsgi.settings()}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _rwsgi.is_setting(name)

    def __getitem__(self, name: str) -> Setting:
        if name not in self:
            raise KeyError(name)
        return Setting(self._config, name, self._facts.get(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


class Config:
    """Defaults and environment at first; `set` lays a value over them, and checks it at once."""

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        self.draft = _rwsgi.Draft()
        self.usage = usage
        self.prog = prog or os.path.basename(sys.argv[0] if sys.argv else "rwsgi")
        self.settings = Settings(self)

    def set(self, name: str, value: Any) -> None:
        """Raise AttributeError if there is no such setting, ConfigError if it cannot have this value."""
        self.draft.set(name, value)

    def validate(self) -> None:
        """Check what depends on more than one value or on the system: directories, accounts."""
        self.draft.check()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "draft":
            raise AttributeError(name)
        return self.draft.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "settings" and _rwsgi.is_setting(name):
            raise AttributeError(f"Invalid access! Use set({name!r}, ...)")
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return str(self.draft)

    def get_cmd_args_from_env(self) -> list[str]:
        import shlex

        return shlex.split(next((os.environ[name] for name in ARGUMENTS if name in os.environ), ""))

    def parser(self) -> ArgumentParser:
        """A parser that knows every flag, for programs that add their own."""
        import argparse

        parser = argparse.ArgumentParser(prog=self.prog, usage=self.usage)
        parser.add_argument(
            "-v", "--version", action="version", version=f"rwsgi (version {_rwsgi.__version__})"
        )
        parser.add_argument("args", nargs="*", help=argparse.SUPPRESS)
        for setting in _rwsgi.settings():
            if setting["flags"]:
                parser.add_argument(*setting["flags"], dest=setting["name"], **_options(setting))
        return parser


def _options(setting: _rwsgi.Setting) -> dict[str, Any]:
    text = (setting["short"] if setting["works"] else "Not supported.").replace("%", "%%")
    if setting["takes"] == "nothing":
        value = not setting["flags"][-1].startswith("--no-")
        return {"help": text, "action": "store_const", "const": value}
    options = {"help": text, "metavar": setting["metavar"]}
    if setting["takes"] == "items":
        return options | {"action": "append"}
    return options | ({"nargs": "?", "const": setting["missing"]} if setting["takes"] == "optional" else {})
