"""Documents as bytes: JSON, refused when it would not come back as it went in.

Both stores keep these bytes, so that neither hands out an object that somebody else could change. msgspec is fast and
lenient: it would quietly turn bytes into text, int keys into strings, NaN into null. A document with one of those is a
mistake of the caller, told at `put` and not found out at `get`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from colonnade.kernel.store import Document

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def encode(document: Mapping[str, Any]) -> bytes:
    """Raises TypeError or ValueError, naming the place, for what JSON cannot carry."""
    try:
        data = _encode(document if isinstance(document, dict) else dict(document))
    except (TypeError, ValueError):
        _check(document, "document")
        raise
    if _decode(data) != document:  # Both in C, so much cheaper than looking at every member first.
        _check(document, "document")  # Tuples and the like differ and may pass.
    return data


def decode(data: bytes) -> Document:
    """Raises ValueError when the bytes are no JSON object."""
    document = _decode(data)
    if not isinstance(document, dict):
        raise ValueError(f"not a JSON object but {type(document).__name__}")
    return cast(Document, document)


def _check(value: Any, place: str) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(
                f"{place} is {value}: JSON has no such number. Store it as text, or leave it out."
            )
    elif isinstance(value, Mapping):
        for key, member in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{place} has the key {key!r}: only text can be a key in JSON")
            _check(member, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            _check(member, f"{place}[{index}]")
    else:
        raise TypeError(f"{place} is a {type(value).__name__}, which JSON cannot carry and give back")
