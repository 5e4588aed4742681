"""RecordIO framing, and `application/x-recordio-protobuf`: frames that hold one protobuf `Record` each.

A frame: u32 magic 0xced7230a, u32 whose low 29 bits are the length and upper 3 say whole (0), first (1), middle (2) or
last (3) part, payload, zeros up to a multiple of 4; all little-endian. The `Record` message (proto2 package aialgs.data)
is small and fixed, so it is read and written by hand rather than with a protobuf library:

    Record { map<string, Value> features = 1; map<string, Value> label = 2; }
    Value  { Float32Tensor = 2 | Float64Tensor = 3 | Int32Tensor = 7 | Bytes = 9 }
    Tensor { packed values = 1; packed uint64 keys = 2; packed uint64 shape = 3; }
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.formats import Examples, FormatError, Matrix, Sparse, Vector

_MAGIC = 0xCED7230A
_LENGTH = (1 << 29) - 1
_HEADER = struct.Struct("<II")
_MAX_WIDTH = 2**31 - 1
_VALUE_TYPES: dict[int, np.dtype[Any] | None] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: None}
"""Field of Value -> type of its packed values; None is varint (Int32Tensor)."""


@dataclass(frozen=True)
class Tensor:
    """One named value of a Record. `keys` are set when it is sparse."""

    values: Vector
    keys: npt.NDArray[np.int64] | None = None
    width: int = 0


def frames(data: bytes, source: str = "") -> Iterator[bytes]:
    """The payloads, parts joined."""
    at, parts = 0, list[bytes]()
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise FormatError(f"RecordIO header cut off at byte {at}.", source=source)
        magic, word = _HEADER.unpack_from(data, at)
        kind, length = word >> 29, word & _LENGTH
        start = at + _HEADER.size
        if magic != _MAGIC or kind > 3 or (kind in (0, 1)) == bool(parts):
            raise FormatError(
                f"no RecordIO record at byte {at}. Is the data framed as RecordIO?", source=source
            )
        if start + length > len(data):
            raise FormatError(
                f"RecordIO record at byte {at} claims {length} bytes, fewer follow.", source=source
            )
        parts.append(data[start : start + length])
        at = start + (length + 3) // 4 * 4
        if kind in (0, 3):
            # Writers split a payload where it contains the magic number; it belongs between the parts.
            yield _HEADER.pack(_MAGIC, 0)[:4].join(parts)
            parts = []
    if parts:
        raise FormatError("RecordIO data ends inside a record of several parts.", source=source)


def frame(payload: bytes) -> bytes:
    return _HEADER.pack(_MAGIC, len(payload)) + payload + b"\0" * (-len(payload) % 4)


def examples(data: bytes, source: str = "") -> Examples:
    """Records' `values` features, with their `values` labels where all have one."""
    features, labels = list[Tensor](), list[Tensor]()
    for number, payload in enumerate(frames(data, source)):
        try:
            record = _record(payload)
            features.append(record[1]["values"])
        except (_MalformedError, KeyError) as error:
            reason = "no feature named 'values'" if isinstance(error, KeyError) else str(error)
            raise FormatError(f"record {number}: {reason}.", source=source) from None
        labels += [record[2]["values"]] if "values" in record[2] else []
    if not features:
        raise FormatError("no records.", source=source)
    if labels and (len(labels) != len(features) or len({len(label.values) for label in labels}) != 1):
        raise FormatError("records do not all carry the same number of labels.", source=source)
    return Examples(
        features=_matrix(features, source),
        labels=np.array([label.values for label in labels]) if labels else None,
    )


def rows(body: bytes, source: str = "") -> Matrix | Sparse:
    return examples(body, source).features


def write(features: Matrix, labels: Matrix | None = None) -> bytes:
    """Dense records; each row's numbers under the name `values`."""
    label_rows: Iterable[Matrix | None] = [None] * len(features) if labels is None else labels
    return b"".join(
        frame(encode({"values": row}, {} if label is None else {"values": label}))
        for row, label in zip(features, label_rows, strict=True)
    )


def encode(features: dict[str, Vector], labels: dict[str, Vector]) -> bytes:
    """One Record of dense float32 tensors. Responses carry their outputs as labels."""
    return _entries(1, features) + _entries(2, labels)


class _MalformedError(ValueError):
    """Not the wire form of a Record."""


def _matrix(tensors: list[Tensor], source: str) -> Matrix | Sparse:
    if all(tensor.keys is None for tensor in tensors):
        widths = {len(tensor.values) for tensor in tensors}
        if len(widths) != 1:
            raise FormatError(
                f"records have different numbers of features: {sorted(widths)[:5]}.", source=source
            )
        return np.array([tensor.values for tensor in tensors], dtype=np.float32).reshape(
            len(tensors), widths.pop()
        )
    keys = [np.arange(len(tensor.values)) if tensor.keys is None else tensor.keys for tensor in tensors]
    columns = np.concatenate(keys).astype(np.int64)
    return Sparse(
        starts=np.cumsum([0, *(len(part) for part in keys)]).astype(np.int64),
        columns=columns,
        values=np.concatenate([tensor.values for tensor in tensors]),
        width=max(int(columns.max(initial=-1)) + 1, max(tensor.width for tensor in tensors)),
    )


def _record(payload: bytes) -> dict[int, dict[str, Tensor]]:
    """Field number (1 features, 2 label) -> name -> tensor."""
    found: dict[int, dict[str, Tensor]] = {1: {}, 2: {}}
    for field, content in _fields(payload):
        if field in found and isinstance(content, bytes):
            entry = dict(_fields(content))
            key, value = entry.get(1, b""), entry.get(2, b"")
            if not isinstance(key, bytes) or not isinstance(value, bytes):
                raise _MalformedError("a map entry is not a pair of name and value")
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
        raise _MalformedError(f"{len(raw)} bytes are no whole number of {dtype.name} values")
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.frombuffer(raw, dtype=dtype).astype(np.float32)
    if not packed[2]:
        return Tensor(values)
    keys, shape = _varints(b"".join(packed[2])), _varints(b"".join(packed[3]))
    if len(keys) != len(values) or max([*keys, *shape], default=0) > _MAX_WIDTH:
        raise _MalformedError(f"{len(keys)} sparse keys for {len(values)} values, or one above {_MAX_WIDTH}")
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
            raise _MalformedError(f"wire type {wire} is not used by Record")
        if at + size > len(message):
            raise _MalformedError("a field is longer than its message")
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
    raise _MalformedError("a number is cut off or too long")


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
