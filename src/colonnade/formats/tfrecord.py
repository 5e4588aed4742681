"""TFRecord framing: u64 length, checksum of the length, payload, checksum of the payload; all little-endian.

A checksum is CRC-32C, rotated right by 15 bits, plus a constant. Batch transform splits such files; nothing here reads payloads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from colonnade.formats import FormatError, TooLongError

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEAD = _LENGTH.size + _CHECKSUM.size
_POLYNOMIAL, _MASK, _WORD = 0x82F63B78, 0xA282EAD8, 0xFFFFFFFF


def stream(
    file: BinaryIO, longest: int, source: str = "", *, check: bool = True
) -> Iterator[tuple[bytes, bytes]]:
    """Record by record of a file: as it lies there, and its payload. Never holds more than a record of `longest` bytes. Without
    `check` a payload's checksum is left to whoever reads the frame. Raises FormatError, also for a longer record."""
    at = 0
    while head := file.read(_HEAD):
        place = f"TFRecord at byte {at}"
        if len(head) < _HEAD:
            raise FormatError(f"{place}: its header is cut off.", source=source)
        size, claimed = head[: _LENGTH.size], head[_LENGTH.size :]
        if claimed != _checksum(size):
            raise FormatError(f"no TFRecord at byte {at}. Is the data framed as TFRecord?", source=source)
        (length,) = _LENGTH.unpack(size)
        whole = _HEAD + length + _CHECKSUM.size
        if whole > longest:
            raise TooLongError(f"{place} is longer than {longest} bytes.", source=source)
        body = file.read(length + _CHECKSUM.size)
        if len(body) < length + _CHECKSUM.size:
            raise FormatError(f"{place} claims {length} bytes, fewer follow.", source=source)
        payload = body[:length]
        if check and body[length:] != _checksum(payload):
            raise FormatError(f"{place}: its checksum does not match its {length} bytes.", source=source)
        yield head + body, payload
        at += whole


def frame(payload: bytes) -> bytes:
    """
    >>> frame(b"123456789")[-4:].hex()
    'e5b08ac7'
    """
    size = _LENGTH.pack(len(payload))
    return size + _checksum(size) + payload + _checksum(payload)


def _checksum(data: bytes) -> bytes:
    register = _WORD
    for byte in data:
        register = _TABLE[(register ^ byte) & 0xFF] ^ register >> 8
    crc = register ^ _WORD
    return _CHECKSUM.pack(((crc >> 15 | crc << 17) + _MASK) & _WORD)


def _through_byte(register: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return register


_TABLE = [_through_byte(byte) for byte in range(256)]
