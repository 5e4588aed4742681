"""The protobuf message `Record` (proto2 package aialgs.data) by hand, since it is small and fixed. `recordio` frames it.

Record { map<string, Value> features = 1; map<string, Value> label = 2; }
Value  { Float32Tensor = 2 | Float64Tensor = 3 | Int32Tensor = 7 | Bytes = 9 }
Tensor { packed values = 1; packed uint64 keys = 2; packed uint64 shape = 3; }
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.formats import Vector

FEATURES, LABEL = 1, 2
_MAX_WIDTH = 2**31 - 1
_VALUE_TYPES: dict[int, np.dtype[Any] | None] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: None}
"""Field of Value -> type of its packed values; None is varint (Int32Tensor)."""


@dataclass(frozen=True)
class Tensor:
    """One named value of a Record. `keys` are set when it is sparse."""

    values: Vector
    keys: npt.NDArray[np.int64] | None = None
    width: int = 0


class MalformedError(ValueError):
    """Not the wire form of a Record."""


def encode(features: dict[str, Vector], labels: dict[str, Vector]) -> bytes:
    """One Record of dense float32 tensors. Responses carry their outputs as labels."""
    return _entries(FEATURES, features) + _entries(LABEL, labels)


def decode(payload: bytes) -> dict[int, dict[str, Tensor]]:
    """FEATURES and LABEL, each name -> tensor. Bytes values are passed over."""
    found: dict[int, dict[str, Tensor]] = {FEATURES: {}, LABEL: {}}
    for field, content in _fields(payload):
        if field in found and isinstance(content, bytes):
            entry = dict(_fields(content))
            key, value = entry.get(1, b""), entry.get(2, b"")
            if not isinstance(key, bytes) or not isinstance(value, bytes):
                raise MalformedError("a map entry is not a pair of name and value")
            tensor = _value(value)
            if tensor is not None:
                found[field][key.decode(errors="replace")] = tensor
    return found


def _value(message: bytes) -> Tensor | None:
    for field, content in _fields(message):
        if field in _VALUE_TYPES and isinstance(content, bytes):
            return _tensor(content, _VALUE_TYPES[field])
    return None


def _tensor(message: bytes, dtype: np.dtype[Any] | None) -> Tensor:
    packed: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
    for field, content in _fields(message):
        if field in packed:
            # Unpacked repeats are legal too: a lone number is a run of one.
            packed[field].append(content if isinstance(content, bytes) else _varint(content))
    raw = b"".join(packed[1])
    if dtype is None:
        values = np.array(_varints(raw), dtype=np.uint64).astype(np.uint32).view(np.int32).astype(np.float32)
    elif len(raw) % dtype.itemsize:
        raise MalformedError(f"{len(raw)} bytes are no whole number of {dtype.name} values")
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.frombuffer(raw, dtype=dtype).astype(np.float32)
    if not packed[2]:
        return Tensor(values)
    keys, shape = _varints(b"".join(packed[2])), _varints(b"".join(packed[3]))
    if len(keys) != len(values) or max([*keys, *shape], default=0) > _MAX_WIDTH:
        raise MalformedError(f"{len(keys)} sparse keys for {len(values)} values, or one above {_MAX_WIDTH}")
    return Tensor(values, np.array(keys, dtype=np.int64), max(shape, default=0))


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Field number and content of every field: bytes for length-delimited and fixed ones, a number for varints."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        wire = tag & 7
        if wire == 0:
            number, at = _read_varint(message, at)
            yield tag >> 3, number
            continue
        if wire == 2:
            size, at = _read_varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise MalformedError(f"wire type {wire} is not used by Record")
        if at + size > len(message):
            raise MalformedError("a field is longer than its message")
        yield tag >> 3, message[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number & (2**64 - 1), at
    raise MalformedError("a number is cut off or too long")


def _varints(data: bytes) -> list[int]:
    numbers, at = [], 0
    while at < len(data):
        number, at = _read_varint(data, at)
        numbers.append(number)
    return numbers


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _entries(field: int, tensors: dict[str, Vector]) -> bytes:
    entries = b""
    for name, values in tensors.items():
        tensor = _delimited(1, np.asarray(values, dtype="<f4").tobytes())
        entries += _delimited(field, _delimited(1, name.encode()) + _delimited(2, _delimited(2, tensor)))
    return entries


def _delimited(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content
