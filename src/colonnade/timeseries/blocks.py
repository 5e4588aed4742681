"""A day of a series as bytes: its points one after the other, each with its distance from the one before, compressed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from colonnade.statistics.sketch import pack, unpack
from colonnade.timeseries import Point

_HEAD = struct.Struct("<IH")


def packed(points: Iterable[Point], start: float) -> bytes:
    """Points in order, none before `start`."""
    heads, bodies = bytearray(), bytearray()
    for point in points:
        body = pack(point.values)
        heads += _HEAD.pack(int(point.at - start), len(body))
        bodies += body
    # Apart, because the one compresses to nothing and would disturb the other.
    return zlib.compress(struct.pack("<I", len(heads)) + bytes(heads) + bytes(bodies), 6)


def unpacked(data: bytes, start: float, *, totals: bool = False) -> Iterator[Point]:
    whole = zlib.decompress(data)
    (size,) = struct.unpack_from("<I", whole)
    at = 4 + size
    for seconds, length in _HEAD.iter_unpack(whole[4:at]):
        yield Point(start + seconds, unpack(whole[at : at + length], totals=totals))
        at += length
