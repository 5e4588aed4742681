"""JSON values by shape, both ways, compiled once per shape into closures.

`reader(shape)` gives a function from decoded JSON to parameters, `writer(shape)` one from results to what can be encoded. A
writer of None means "leave the value as it is". Recursive shapes meet themselves through `_Compiler.known`.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from colonnade.gateway.protocols import timestamps
from colonnade.gateway.protocols.misfit import Misfit
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.models import Shape

Convert = Callable[[Any], Any]
_LARGEST = 10**308
_LARGE = 1024 * 1024
"""Bytes up to which a body is read a second time, slower and more leniently."""
_LONG = 1000
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def decode(body: bytes) -> Any:
    """Raises SerializationException. NaN and Infinity, which botocore writes bare, are understood."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if len(body) > _LARGE:
            raise ServiceError("SerializationException", f"the request body is not JSON: {error}") from None
    try:
        value = json.loads(body)
        # Half a surrogate pair is JSON to Python, but nothing could ever store or answer it.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except (ValueError, RecursionError) as error:
        raise ServiceError("SerializationException", f"the request body is not JSON: {error}") from None


def wire_name(member: str, shape: Shape) -> str:
    name: str = shape.serialization.get("name", member)
    return name


# Reading


def reader(shape: Shape, scalars: Mapping[str, Convert] | None = None) -> Convert:
    """`scalars`, by type name, for what holds other scalars than JSON does in the same structures (CBOR)."""
    return _Readers(scalars or SCALAR_READERS).of(shape)


class _Readers:
    def __init__(self, scalars: Mapping[str, Convert]) -> None:
        self.known: dict[str, Convert] = {}
        self.scalars = scalars

    def of(self, shape: Shape) -> Convert:
        if getattr(shape, "is_document_type", False):
            return _as_is
        build = {"structure": self._structure, "list": self._list, "map": self._map}.get(shape.type_name)
        if build is None:
            return self.scalars[shape.type_name]
        if shape.name not in self.known:
            self.known[shape.name] = lambda value: self.known[shape.name](value)
            self.known[shape.name] = build(shape)
        return self.known[shape.name]

    def _structure(self, shape: Shape) -> Convert:
        members = {wire_name(name, member): (name, self.of(member)) for name, member in shape.members.items()}

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise Misfit("a structure", value)
            result = {}
            for key, item in value.items():
                known = members.get(key)
                if known is None or item is None:
                    continue
                try:
                    result[known[0]] = known[1](item)
                except Misfit as misfit:
                    raise misfit.within(key) from None
            return result

        return read

    def _list(self, shape: Shape) -> Convert:
        convert = self.of(shape.member)
        most = shape.metadata.get("max")
        enough = None if most is None else max(int(most), _LONG) + 1

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise Misfit("a list", value)
            if enough is not None and len(value) > enough:
                value = value[:enough]  # So many are refused for their number: the others need no reading.
            result = []
            for place, item in enumerate(value, 1):
                try:
                    result.append(None if item is None else convert(item))
                except Misfit as misfit:
                    raise misfit.within(str(place)) from None
            return result

        return read

    def _map(self, shape: Shape) -> Convert:
        convert = self.of(shape.value)

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise Misfit("a map", value)
            result = {}
            for key, item in value.items():
                try:
                    result[key] = None if item is None else convert(item)
                except Misfit as misfit:
                    raise misfit.within(key) from None
            return result

        return read


def _as_is(value: Any) -> Any:
    return value


def _string(value: Any) -> str:
    if type(value) is not str:
        raise Misfit("a string", value)
    return value


def _integer(bits: int) -> Convert:
    limit = 2 ** (bits - 1)

    def read(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not -limit <= value < limit:
            raise Misfit(f"an integer of {bits} bits", value)
        return value

    return read


def _float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int and -_LARGEST <= value <= _LARGEST:
        return float(value)
    if type(value) is str and value in _SPECIAL:
        return _SPECIAL[value]
    raise Misfit("a number", value)


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Misfit("true or false", value)
    return value


def blob(value: Any) -> bytes:
    if type(value) is str:
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise Misfit("base64 text", value)


def timestamp(value: Any) -> float:
    try:
        return timestamps.read(value)
    except (ValueError, TypeError, OverflowError):
        raise Misfit("a timestamp", value) from None


SCALAR_READERS: Mapping[str, Convert] = {
    "string": _string,
    "character": _string,
    "integer": _integer(32),
    "long": _integer(64),
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "blob": blob,
    "timestamp": timestamp,
}


# Writing


ScalarWriter = Callable[[Shape], Convert | None]


def writer(shape: Shape, scalar: ScalarWriter | None = None) -> Convert:
    return _Writers(scalar or _scalar_writer).of(shape) or _as_is


class _Writers:
    def __init__(self, scalar: ScalarWriter) -> None:
        self.known: dict[str, Convert] = {}
        self.scalar = scalar

    def of(self, shape: Shape) -> Convert | None:
        if getattr(shape, "is_document_type", False):
            return None
        build = {"structure": self._structure, "list": self._list, "map": self._map}.get(shape.type_name)
        if build is None:
            return self.scalar(shape)
        if shape.name not in self.known:
            self.known[shape.name] = lambda value: self.known[shape.name](value)
            self.known[shape.name] = build(shape)
        return self.known[shape.name]

    def _structure(self, shape: Shape) -> Convert:
        members = {name: (wire_name(name, member), self.of(member)) for name, member in shape.members.items()}
        return structure_writer(members)

    def _list(self, shape: Shape) -> Convert:
        convert = self.of(shape.member)
        if convert is None:
            return list
        return lambda value: [None if item is None else convert(item) for item in value]

    def _map(self, shape: Shape) -> Convert:
        convert = self.of(shape.value)
        if convert is None:
            return dict
        return lambda value: {key: None if item is None else convert(item) for key, item in value.items()}


def structure_writer(members: Mapping[str, tuple[str, Convert | None]]) -> Convert:
    """Members that the shape does not have and members that are None are left out: absent is absent."""

    def write(value: Mapping[str, Any]) -> dict[str, Any]:
        result = {}
        for key, item in value.items():
            known = members.get(key)
            if known is None or item is None:
                continue
            name, convert = known
            result[name] = item if convert is None else convert(item)
        return result

    return write


def _scalar_writer(shape: Shape) -> Convert | None:
    if shape.type_name == "timestamp":
        form = shape.serialization.get("timestampFormat")
        return timestamps.WRITERS[form] if form in ("iso8601", "rfc822") else timestamps.epoch
    if shape.type_name == "blob":
        return lambda value: base64.b64encode(value).decode("ascii")
    if shape.type_name in ("float", "double"):
        return _number
    return None


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
