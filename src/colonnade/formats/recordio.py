"""RecordIO framing, and `application/x-recordio-protobuf`: frames that hold one protobuf `Record` each.

A frame: u32 magic 0xced7230a, u32 whose low 29 bits are the length and upper 3 say whole (0), first (1), middle (2) or
last (3) part, payload, zeros up to a multiple of 4; all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from colonnade.formats import Examples, FormatError, Matrix, Sparse, TooLongError, record
from colonnade.formats.record import FEATURES, LABEL, Tensor

_MAGIC = 0xCED7230A
_LENGTH = (1 << 29) - 1
_HEADER = struct.Struct("<II")


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


def stream(file: BinaryIO, longest: int, source: str = "") -> Iterator[tuple[bytes, bytes]]:
    """Record by record of a file: as it lies there (headers, parts and padding), and its payload. Never holds more than a
    record of `longest` bytes. Raises FormatError, also for a longer one."""
    at, raw, parts = 0, b"", list[bytes]()
    while header := file.read(_HEADER.size):
        place = f"RecordIO record at byte {at}"
        if len(header) < _HEADER.size:
            raise FormatError(f"{place}: its header is cut off.", source=source)
        magic, word = _HEADER.unpack(header)
        kind, length = word >> 29, word & _LENGTH
        if magic != _MAGIC or kind > 3 or (kind in (0, 1)) == bool(parts):
            raise FormatError(
                f"no RecordIO record at byte {at}. Is the data framed as RecordIO?", source=source
            )
        if len(raw) + _HEADER.size + length > longest:
            raise TooLongError(f"{place} is longer than {longest} bytes.", source=source)
        body = file.read((length + 3) // 4 * 4)
        if len(body) < length:
            raise FormatError(f"{place} claims {length} bytes, fewer follow.", source=source)
        raw += header + body
        parts.append(body[:length])
        at += _HEADER.size + len(body)
        if kind in (0, 3):
            yield raw, header[:4].join(parts)
            raw, parts = b"", []
    if parts:
        raise FormatError("RecordIO data ends inside a record of several parts.", source=source)


def frame(payload: bytes) -> bytes:
    return _HEADER.pack(_MAGIC, len(payload)) + payload + b"\0" * (-len(payload) % 4)


def examples(data: bytes, source: str = "") -> Examples:
    """Records' `values` features, with their `values` labels where all have one."""
    features, labels = list[Tensor](), list[Tensor]()
    for number, payload in enumerate(frames(data, source)):
        try:
            found = record.decode(payload)
            features.append(found[FEATURES]["values"])
        except (record.MalformedError, KeyError) as error:
            reason = "no feature named 'values'" if isinstance(error, KeyError) else str(error)
            raise FormatError(f"record {number}: {reason}.", source=source) from None
        labels += [found[LABEL]["values"]] if "values" in found[LABEL] else []
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
        frame(record.encode({"values": row}, {} if label is None else {"values": label}))
        for row, label in zip(features, label_rows, strict=True)
    )


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
