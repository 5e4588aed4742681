"""Where botocore keeps AWS's models, and how such a file is read: `<service>/<version>/<kind>.json`, often gzipped.

`kernel.models` is the only caller. Botocore's loader does the same with more places to look in; a server must not depend on
what lies in somebody's home folder.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec


@cache
def services() -> frozenset[str]:
    """By their boto3 client names."""
    return frozenset(entry.name for entry in os.scandir(_data()) if entry.is_dir())


def load(service: str, kind: str) -> dict[str, Any]:
    """The newest version's file, with what botocore's own extras add. Raises LookupError."""
    if service not in services():
        raise LookupError(f"AWS has no service {service!r}")
    for version in sorted((_data() / service).iterdir(), reverse=True):
        found = _read(version / kind)
        if found is not None:
            _merge(found, (_read(version / f"{kind}.sdk-extras") or {}).get("merge", {}))
            return found
    raise LookupError(f"{service} has no {kind}")


@cache
def _data() -> Path:
    found = find_spec("botocore")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("botocore is not installed: it brings AWS's service models")
    return Path(found.submodule_search_locations[0]) / "data"


def _read(path: Path) -> dict[str, Any] | None:
    for suffix, opened in ((".json.gz", gzip.open), (".json", open)):
        try:
            with opened(f"{path}{suffix}", "rb") as file:
                found: dict[str, Any] = msgspec.json.decode(file.read())
                return found
        except FileNotFoundError:
            continue
    return None


def _merge(base: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(base.get(key), dict) and isinstance(value, Mapping):
            _merge(base[key], value)
        else:
            base[key] = value
