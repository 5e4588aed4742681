"""Values that travel as text outside of bodies: URI labels, query strings, headers."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from typing import Any

from colonnade.gateway.protocols import timestamps
from colonnade.gateway.protocols.misfit import Misfit
from colonnade.kernel import json_text
from colonnade.kernel.models import Shape

Read = Callable[[str], Any]
Write = Callable[[Any], str]


def reader(shape: Shape) -> Read:
    if is_json_value(shape):
        return _json_value
    return _READERS.get(shape.type_name, str)


def is_json_value(shape: Shape) -> bool:
    return bool(shape.serialization.get("jsonvalue"))


def _boolean(text: str) -> bool:
    if text in ("true", "True"):
        return True
    if text in ("false", "False"):
        return False
    raise Misfit("true or false", text)


def _integer(bits: int) -> Read:
    limit = 2 ** (bits - 1)

    def read(text: str) -> int:
        found = _WHOLE.fullmatch(text)
        if found is None or not -limit <= int(text) < limit:
            raise Misfit(f"an integer of {bits} bits", text)
        return int(text)

    return read


_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Misfit("a number", text) from None


def _timestamp(text: str) -> float:
    try:
        return timestamps.read(text)
    except (ValueError, TypeError, OverflowError):
        raise Misfit("a timestamp", text) from None


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Misfit("base64 text", text) from None


def _json_value(text: str) -> Any:
    try:
        return json_text.read(base64.b64decode(text, validate=True))
    except ValueError:
        raise Misfit("base64 of JSON", text) from None


_READERS: dict[str, Read] = {
    "boolean": _boolean,
    "integer": _integer(32),
    "long": _integer(64),
    "float": _float,
    "double": _float,
    "timestamp": _timestamp,
    "blob": _blob,
}


def writer(shape: Shape, timestamp_format: str) -> Write:
    if is_json_value(shape):
        return lambda value: base64.b64encode(json.dumps(value).encode()).decode()
    if shape.type_name == "timestamp":
        return timestamps.WRITERS[shape.serialization.get("timestampFormat", timestamp_format)]
    return _WRITERS.get(shape.type_name, str)


def number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


_WRITERS: dict[str, Write] = {
    "boolean": lambda value: "true" if value else "false",
    "float": number,
    "double": number,
    "blob": lambda value: base64.b64encode(value).decode(),
}


# Lists in one header

_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|\Z)')


def split_header(text: str, member: Shape) -> list[str]:
    """At commas; but RFC 822 instants hold one each, and strings with commas are quoted."""
    if member.type_name == "timestamp":
        parts = [part.strip() for part in text.split(",")]
        return [", ".join(pair) for pair in zip(parts[::2], parts[1::2], strict=False)]
    if member.type_name != "string":
        return [part.strip() for part in text.split(",")]
    items: list[str] = []
    at = 0
    while at < len(text):
        found = _ITEM.match(text, at)
        if found is None:
            raise Misfit("a list of comma-separated values", text)
        quoted, bare = found.groups()
        items.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare.strip())
        at = found.end()
    return items


def join_header(values: list[str], member: Shape) -> str:
    if member.type_name == "string":
        values = [_quoted(value) if set(value) & set(',"') else value for value in values]
    return ",".join(values)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
