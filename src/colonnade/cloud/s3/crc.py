"""CRC-32C and CRC-64/NVME, which Python's library lacks, and the joining of checksums of parts.

A CRC is linear: the checksum of A followed by B is that of A moved on by len(B) zero bytes, XOR that of B. So a piece is cut
into rows of 256 bytes which numpy takes through the table side by side, and the rows are then folded in pairs. numpy comes
with the first such piece: a server that nobody sends any starts without it.

>>> hex(CRC32C.update(0, b"123456789")), hex(CRC64NVME.update(0, b"123456789"))
('0xe3069283', '0xae8b14860a799888')
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    _Words: TypeAlias = npt.NDArray[np.uint64]

_ROW = 256
_Step = tuple[int, ...]
"""A linear map: the images of the single bits."""


class Crc:
    """A reflected CRC whose register begins and ends inverted."""

    def __init__(self, width: int, polynomial: int) -> None:
        self.width = width
        self._ones = (1 << width) - 1
        self._table = [_through_byte(byte, polynomial) for byte in range(256)]

    def update(self, crc: int, data: bytes) -> int:
        """The checksum of what `crc` covers followed by `data`; begin with 0."""
        register = crc ^ self._ones
        rows = len(data) // _ROW
        if rows > 1:
            register = self._shift(register, rows * _ROW) ^ self._of_rows(data, rows)
            data = data[rows * _ROW :]
        for byte in data:
            register = self._table[(register ^ byte) & 0xFF] ^ (register >> 8)
        return register ^ self._ones

    def combine(self, first: int, second: int, length: int) -> int:
        """The checksum of both, where `second` covers `length` bytes."""
        return self._shift(first, length) ^ second

    def _of_rows(self, data: bytes, rows: int) -> int:
        """The register after the rows, had it begun with zero."""
        import numpy as np

        table = np.frombuffer(data, dtype=np.uint8, count=rows * _ROW).reshape(rows, _ROW)
        registers: _Words = np.zeros(rows, dtype=np.uint64)
        looked_up: _Words = np.empty(rows, dtype=np.uint64)
        low_bytes = registers.view(np.uint8)[0 if sys.byteorder == "little" else 7 :: 8]
        words = self._words()
        for column in np.ascontiguousarray(table.T):
            np.take(words, low_bytes ^ column, out=looked_up, mode="clip")
            registers >>= np.uint64(8)
            registers ^= looked_up
        length = _ROW
        while len(registers) > 1:
            if len(registers) % 2:  # Zeros in front change nothing.
                registers = np.concatenate([np.zeros(1, dtype=np.uint64), registers])
            registers = _apply_all(self._step(length), registers[::2]) ^ registers[1::2]
            length *= 2
        return int(registers[0])

    @cache  # noqa: B019 - the three instances live as long as the module
    def _words(self) -> _Words:
        import numpy as np

        return np.array(self._table, dtype=np.uint64)

    def _shift(self, register: int, length: int) -> int:
        """The register after so many zero bytes."""
        power = 1
        while length:
            if length & 1:
                register = _apply(self._step(power), register)
            length >>= 1
            power *= 2
        return register

    @cache  # noqa: B019 - the three instances live as long as the module
    def _step(self, length: int) -> _Step:
        """What `length` zero bytes do, `length` being a power of two."""
        if length == 1:
            return tuple(self._table[(1 << bit) & 0xFF] ^ (1 << bit >> 8) for bit in range(self.width))
        half = self._step(length // 2)
        return tuple(_apply(half, image) for image in half)


def _through_byte(register: int, polynomial: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register


def _apply(step: _Step, register: int) -> int:
    result = 0
    for bit, image in enumerate(step):
        if register >> bit & 1:
            result ^= image
    return result


def _apply_all(step: _Step, registers: _Words) -> _Words:
    import numpy as np

    result = np.zeros_like(registers)
    for bit, image in enumerate(step):
        result ^= (registers >> np.uint64(bit) & np.uint64(1)) * np.uint64(image)
    return result


CRC32 = Crc(32, 0xEDB88320)
"""For joining only: zlib computes it faster."""
CRC32C = Crc(32, 0x82F63B78)
CRC64NVME = Crc(64, 0x9A6C9329AC4BC9B5)
