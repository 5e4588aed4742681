"""Everything that can be set, as one typed object, read once and passed in.

The command line reads it (`read`) and hands it down; nothing else looks at the environment. Later wins: defaults, the TOML
file (`colonnade.toml` in the data folder, or the one that `--config` / COLONNADE_CONFIG names), COLONNADE_* variables, flags.
A key that does not exist or a value that cannot be is refused, never ignored.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "COLONNADE_"
CONFIG_FILE = "colonnade.toml"
_NOT_SETTINGS = ("COLONNADE_CONFIG", "COLONNADE_TEST_")
"""Variables, or beginnings of them, that are read elsewhere."""


class SettingsError(ValueError):
    """A setting that cannot be; the message names it, its value, where it was found and what would be right."""


def _default_workers() -> int:
    return min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path
    """The folder that holds everything: store, objects, jobs, credentials. Default $XDG_DATA_HOME/colonnade."""
    host: str = "127.0.0.1"
    """The address to listen on. Whoever reaches it still needs credentials."""
    port: int = 4566
    """0 takes a free one and says which."""
    workers: int = field(default_factory=_default_workers)
    """Gateway processes. Default: the cores, at most 2."""
    ephemeral: bool = False
    """One process, state in memory and a folder that goes with it; roles and names are not checked for existence."""
    clock: str = "system"
    """"system", or "manual": time moves by POST /_colonnade/clock only. Manual needs `ephemeral`."""
    account_id: str = "123456789012"
    region: str = "us-east-1"
    """The region of clients whose signature names none, and of `colonnade configure`'s profile."""
    root_access_key_id: str | None = field(default=None, repr=False)
    root_secret_access_key: str | None = field(default=None, repr=False)
    """Both or neither. Without them, a pair is made at the first start. Parts read `credentials.read`, not these."""
    master_key_file: Path | None = None
    """Where the master key lies, made there at the first start. Default: master.key in the data folder. Elsewhere, a copy of the
    data folder without it tells nothing of what is encrypted."""
    bucket_hosts: tuple[str, ...] = ()
    """Suffixes under which a host name's first part is a bucket: "s3.example.org" makes `photos.s3.example.org` the bucket
    photos. A list in the file, commas in the variable. Without any, buckets are in the path."""
    log_level: str = "info"
    """debug, info, warning or error."""
    log_format: str = "text"
    """"text" for people, "json" for one object per line."""
    executor: str = "process"
    """The name of the implementation in `executors/` that runs jobs and replicas."""
    isolation: str = "auto"
    """"namespace": each job in namespaces of its own, or refuse; "plain": jobs are trusted; "auto": the first where it
    works."""

    serverless_idle_seconds: int = 300
    """Without a call for so long, a serverless endpoint has no process and no loaded model any more."""

    def __post_init__(self) -> None:
        if (self.root_access_key_id is None) != (self.root_secret_access_key is None):
            raise SettingsError(
                "root_access_key_id and root_secret_access_key go together: set both, or neither to have a pair made"
            )
        if self.clock == "manual" and not self.ephemeral:
            raise SettingsError(
                "clock = 'manual' works with one process only: add --ephemeral, or use 'system'"
            )

    @property
    def url(self) -> str:
        """Where clients on this machine find the server, once the port is bound."""
        return f"http://{reachable(self.host)}:{self.port}"

    def for_children(self) -> str:
        """What `from_parent` takes, without the root keys: children read those from the data folder."""
        key_file = None if self.master_key_file is None else str(self.master_key_file)
        values = asdict(self) | {"data": str(self.data), "master_key_file": key_file}
        del values["root_access_key_id"], values["root_secret_access_key"]
        return json.dumps(values)


def reachable(host: str) -> str:
    """What a client on this machine calls the address that the server listens on, ready for a URL."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def from_parent(text: str) -> Settings:
    """The settings of the process that started this one, whatever files and variables say by now."""
    values = json.loads(text)
    key_file = values["master_key_file"]
    exact = {
        "data": Path(values["data"]),
        "master_key_file": None if key_file is None else Path(key_file),
        "bucket_hosts": tuple(values["bucket_hosts"]),
    }
    return Settings(**values | exact)


def read(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """`flags` by field name, plus `config`; those that are None were not given. Raises SettingsError."""
    given = _read_flags(flags)
    variables = _read_variables(environ)
    data = given.get("data") or variables.get("data") or default_data(environ)
    config = flags.get("config") or environ.get("COLONNADE_CONFIG")
    if config:
        named = Path(config).expanduser().absolute()
        if not named.is_file():
            raise SettingsError(
                f"the configuration file {named} does not exist: correct --config or COLONNADE_CONFIG"
            )
        file = _read_file(named)
    else:
        file = _read_file(data / CONFIG_FILE)
        if "data" in file:
            raise SettingsError(
                f"{data / CONFIG_FILE}: data cannot be set from inside the data folder: use --data or COLONNADE_DATA, "
                "or name a file elsewhere by --config"
            )
    values: dict[str, Any] = {"data": data, **file, **variables, **given}
    return Settings(**values)


def default_data(environ: Mapping[str, str]) -> Path:
    shared = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return Path(shared).absolute() / "colonnade"


def _read_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    known = [each.name for each in fields(Settings)]
    return {
        key: _value(f"--{key.replace('_', '-')}", key, flags[key])
        for key in known
        if flags.get(key) is not None
    }


def _read_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for variable, raw in environ.items():
        if variable.startswith(PREFIX) and not variable.startswith(_NOT_SETTINGS):
            key = variable.removeprefix(PREFIX).lower()
            if key not in _READERS:
                raise SettingsError(
                    f"the environment variable {variable} means nothing here{_nearest(key, PREFIX)}"
                )
            found[key] = _value(variable, key, raw)
    return found


def _read_file(path: Path) -> dict[str, Any]:
    import tomllib  # most folders have no such file

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    for key in table:
        if key not in _READERS:
            raise SettingsError(f"{path}: there is no setting {key!r}{_nearest(key)}")
    values = {key: _value(f"{path}: {key}", key, raw) for key, raw in table.items()}
    for key in ("data", "master_key_file"):
        if key in table:
            values[key] = (path.parent / Path(table[key]).expanduser()).absolute()
    return values


def _nearest(key: str, prefix: str = "") -> str:
    close = difflib.get_close_matches(key, _READERS, n=1)
    if close:
        return f": did you mean {(prefix + close[0].upper()) if prefix else close[0]}?"
    return "; the settings are " + ", ".join(_READERS)


def _value(where: str, key: str, raw: object) -> Any:
    try:
        return _READERS[key](raw)
    except (ValueError, TypeError) as error:
        shown = "its value" if key.startswith("root_") else repr(raw)
        raise SettingsError(f"{where}: {shown} cannot be: {error}") from None


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("give some text")
    return raw.strip()


def _folder(raw: object) -> Path:
    return Path(_text(str(raw))).expanduser().absolute()


_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def _hosts(raw: object) -> tuple[str, ...]:
    names = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError("give host names, like s3.example.org")
    hosts = tuple(name.strip().strip(".").lower() for name in names if name.strip())
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError("give host names without ports or schemes, like s3.example.org")
    return hosts


def _number(low: int, high: int) -> Callable[[object], int]:
    def read_number(raw: object) -> int:
        is_number = (
            isinstance(raw, (int, str)) and not isinstance(raw, bool) and re.fullmatch(r"\d+", str(raw))
        )
        if not is_number or not low <= int(str(raw)) <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(str(raw))

    return read_number


def _switch(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if str(raw).lower() not in words:
        raise ValueError("give true or false")
    return words[str(raw).lower()]


def _one_of(*choices: str) -> Callable[[object], str]:
    def read_choice(raw: object) -> str:
        if raw not in choices:
            raise ValueError(f"give one of {', '.join(choices)}")
        return str(raw)

    return read_choice


def _matching(pattern: str, want: str) -> Callable[[object], str]:
    def read_match(raw: object) -> str:
        if not isinstance(raw, str) or not re.fullmatch(pattern, raw):
            raise ValueError(f"give {want}")
        return raw

    return read_match


_READERS: Mapping[str, Callable[[object], Any]] = {
    "data": _folder,
    "host": _text,
    "port": _number(0, 65535),
    "workers": _number(1, 64),
    "ephemeral": _switch,
    "clock": _one_of("system", "manual"),
    "account_id": _matching(r"\d{12}", "twelve digits, as text"),
    "region": _matching(r"[a-z]{2}(-[a-z]+)+-\d", "a region's name, like us-east-1"),
    "root_access_key_id": _matching(r"\w{4,128}", "4 to 128 letters and digits"),
    "root_secret_access_key": _matching(r"[!-~]{4,128}", "4 to 128 printable characters without spaces"),
    "master_key_file": _folder,
    "bucket_hosts": _hosts,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("text", "json"),
    "executor": _matching(r"[a-z][a-z0-9_]*", "the name of an executor, like process"),
    "serverless_idle_seconds": _number(1, 86_400),
    "isolation": _one_of("auto", "namespace", "plain"),
}
