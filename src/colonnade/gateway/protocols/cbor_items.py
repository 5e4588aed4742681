"""CBOR's data items (RFC 8949) and Python's values: what smithy-rpc-v2-cbor uses of them, and nothing else.

Maps have text keys; the one tag is 1, an instant; integers have 64 bits. All else is refused by name, as is what is cut off,
nested beyond `_DEEPEST`, or followed by more. Lengths are believed only up to the bytes that there are.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from colonnade.kernel.errors import ServiceError

_DEEPEST = 128
_BREAK = 0xFF
_INDEFINITE = 31
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_BIG = 2**63
Encoder = Callable[[Any, bytearray], None]


@dataclass(frozen=True, slots=True)
class Instant:
    """Tag 1: epoch seconds."""

    seconds: int | float


# Reading


def decode(data: bytes) -> Any:
    """The one item that `data` holds. Raises SerializationException."""
    reading = _Reading(data)
    value = reading.item(_DEEPEST)
    if reading.at != len(data):
        raise _malformed(f"{len(data) - reading.at} bytes follow its end")
    return value


class _Reading:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def item(self, depth: int) -> Any:
        if depth < 0:
            raise _malformed(f"it is nested more than {_DEEPEST} levels deep")
        initial = self._byte()
        major, detail = initial >> 5, initial & 31
        if major == 7:
            return self._simple(detail)
        if major in (2, 3):
            return self._text(detail) if major == 3 else self._string(2, detail)
        if major == 4:
            return self._list(detail, depth)
        if major == 5:
            return self._map(detail, depth)
        argument = self._argument(detail)
        if major == 6:
            return self._tagged(argument, depth)
        return _integer(argument if major == 0 else -1 - argument)

    def _byte(self) -> int:
        if self.at >= len(self.data):
            raise _malformed("it ends too early")
        self.at += 1
        return self.data[self.at - 1]

    def _bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise _malformed("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def _argument(self, detail: int) -> int:
        if detail < 24:
            return detail
        if detail not in _WIDTHS:
            raise _malformed(f"its byte {self.at - 1} is no beginning of an item")
        return int.from_bytes(self._bytes(_WIDTHS[detail]), "big")

    def _ended(self) -> bool:
        if self.at < len(self.data) and self.data[self.at] == _BREAK:
            self.at += 1
            return True
        return False

    def _string(self, major: int, detail: int) -> bytes:
        if detail != _INDEFINITE:
            return self._bytes(self._argument(detail))
        chunks = []
        while not self._ended():
            initial = self._byte()
            if initial >> 5 != major or initial & 31 == _INDEFINITE:
                raise _malformed("a string of indefinite length holds what is no piece of it")
            chunks.append(self._bytes(self._argument(initial & 31)))
        return b"".join(chunks)

    def _text(self, detail: int) -> str:
        try:
            return self._string(3, detail).decode("utf-8")
        except UnicodeDecodeError as error:
            raise _malformed(f"its text is not UTF-8: {error}") from None

    def _list(self, detail: int, depth: int) -> list[Any]:
        items: list[Any] = []
        if detail == _INDEFINITE:
            while not self._ended():
                items.append(self.item(depth - 1))
            return items
        for _ in range(self._argument(detail)):
            items.append(self.item(depth - 1))
        return items

    def _map(self, detail: int, depth: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        if detail == _INDEFINITE:
            while not self._ended():
                self._entry(entries, depth)
            return entries
        for _ in range(self._argument(detail)):
            self._entry(entries, depth)
        return entries

    def _entry(self, entries: dict[str, Any], depth: int) -> None:
        key = self.item(depth - 1)
        if type(key) is not str:
            raise _malformed("a map's key is not text")
        entries[key] = self.item(depth - 1)

    def _tagged(self, tag: int, depth: int) -> Instant:
        if tag in (2, 3):
            raise _malformed("integers of more than 64 bits (tags 2 and 3) are not supported")
        if tag != 1:
            raise _malformed(f"tag {tag} is not supported: only 1, a timestamp, is")
        seconds = self.item(depth - 1)
        if type(seconds) not in (int, float) or not math.isfinite(seconds):
            raise _malformed("tag 1 must hold epoch seconds")
        return Instant(seconds)

    def _simple(self, detail: int) -> Any:
        if detail in _SIMPLE:
            return _SIMPLE[detail]
        if detail in _FLOATS:
            return struct.unpack(_FLOATS[detail], self._bytes(_WIDTHS[detail]))[0]
        raise _malformed(f"its byte {self.at - 1} is no beginning of an item")


def _integer(value: int) -> int:
    if not -_BIG <= value < _BIG:
        raise _malformed(f"the integer {value} has more than 64 bits with its sign")
    return value


def _malformed(why: str) -> ServiceError:
    return ServiceError("SerializationException", f"the request body is not CBOR: {why}", status=400)


# Writing


def encode(value: Any) -> bytes:
    out = bytearray()
    _write(value, out)
    return bytes(out)


def _write(value: Any, out: bytearray) -> None:
    encoder = _ENCODERS.get(type(value)) or _encoder_of(type(value))
    encoder(value, out)


def _encoder_of(kind: type) -> Encoder:
    """Enums of text are text, and so on."""
    for base in kind.__mro__:
        if base in _ENCODERS:
            return _ENCODERS[base]
    raise TypeError(f"CBOR has no item for {kind.__name__}")


def _head(major: int, argument: int, out: bytearray) -> None:
    if argument < 24:
        out.append(major << 5 | argument)
        return
    for detail, width in _WIDTHS.items():
        if argument < 1 << 8 * width:
            out.append(major << 5 | detail)
            out += argument.to_bytes(width, "big")
            return
    raise OverflowError(f"{argument} does not fit 64 bits")


def _write_integer(value: int, out: bytearray) -> None:
    _head(0 if value >= 0 else 1, value if value >= 0 else -1 - value, out)


def _write_float(value: float, out: bytearray) -> None:
    """In the four bytes that hold it exactly, where they do."""
    try:
        short = struct.pack(">f", value)
    except OverflowError:
        short = b""
    if math.isnan(value) or (short and struct.unpack(">f", short)[0] == value):
        out += b"\xfa" + short
    else:
        out += b"\xfb" + struct.pack(">d", value)


def _write_text(value: str, out: bytearray) -> None:
    data = value.encode("utf-8")
    _head(3, len(data), out)
    out += data


def _write_bytes(value: bytes, out: bytearray) -> None:
    _head(2, len(value), out)
    out += value


def _write_list(value: list[Any], out: bytearray) -> None:
    _head(4, len(value), out)
    for item in value:
        _write(item, out)


def _write_map(value: dict[str, Any], out: bytearray) -> None:
    _head(5, len(value), out)
    for key, item in value.items():
        _write_text(key, out)
        _write(item, out)


def _write_instant(value: Instant, out: bytearray) -> None:
    _head(6, 1, out)
    _write(value.seconds, out)


_ENCODERS: dict[type, Encoder] = {
    bool: lambda value, out: out.append(0xF5 if value else 0xF4),
    int: _write_integer,
    float: _write_float,
    str: _write_text,
    bytes: _write_bytes,
    bytearray: _write_bytes,
    memoryview: lambda value, out: _write_bytes(bytes(value), out),
    list: _write_list,
    tuple: _write_list,
    dict: _write_map,
    Instant: _write_instant,
    type(None): lambda value, out: out.append(0xF6),
}
