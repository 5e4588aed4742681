"""Content that is encrypted, written as a stream and read from any place: what lies in the store is one or more segments.

    segment = salt (16) | chunk | chunk | ...
    chunk   = AES-256-GCM of 64 KiB, of the rest in the last one, with its tag (16)

A segment's key is HMAC-SHA256(data key, salt); a chunk's nonce is its number and whether it is the last one. So nothing can be
changed, moved, cut or left out unseen, a range needs its chunks only, and memory stays flat. Parts of a multipart upload are
segments: joining their blobs joins them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from colonnade.objects import PIECE, Reading

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK = 64 * 1024
_SALT, _TAG = 16, 16
_TOGETHER = PIECE // CHUNK

Part = Callable[[int, int], Reading]
"""Opens so many stored bytes from an offset. Raises FileNotFoundError."""


class Changed(OSError):  # noqa: N818 - said of the bytes
    """The stored bytes are not those that were written, or the key is another."""


def sealed(pieces: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    """One segment of all pieces."""
    salt = os.urandom(_SALT)
    cipher = _cipher(key, salt)
    yield salt
    number, rest = 0, b""
    for piece in pieces:
        data = memoryview(rest + piece if rest else piece)
        chunks: list[bytes] = []
        while len(data) > CHUNK:  # Never the last one: that is known to be when nothing follows.
            chunks.append(cipher.encrypt(_nonce(number, last=False), data[:CHUNK], None))
            data, number = data[CHUNK:], number + 1
        rest = bytes(data)
        if chunks:
            yield b"".join(chunks)
    yield cipher.encrypt(_nonce(number, last=True), rest, None)


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hmac.new(key, b"colonnade segment" + salt, hashlib.sha256).digest())


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def stored_size(size: int) -> int:
    """Of a segment of so many bytes."""
    return _SALT + size + _TAG * _chunks(size)


def _chunks(size: int) -> int:
    return max(1, -(-size // CHUNK))


class Unsealed:
    """A Reading of plain bytes, `length` of them from `first`, out of segments of the given plain sizes."""

    def __init__(
        self, part: Part, key: bytes, segments: Sequence[int], first: int = 0, length: int | None = None
    ) -> None:
        whole = sum(segments)
        self.length = max(0, whole - first if length is None else min(length, whole - first))
        self._key = key
        self._segments = list(segments)
        self._salt = b""
        stored = 0
        while len(self._segments) > 1 and first >= self._segments[0]:
            size = self._segments.pop(0)
            first, stored = first - size, stored + stored_size(size)
        self._number, self._skip = (first // CHUNK, first % CHUNK) if self.length else (0, 0)
        begin = stored + (_SALT + self._number * (CHUNK + _TAG) if self._number else 0)
        if self._number:
            self._salt = b"".join(_all(part(stored, _SALT)))
        self._stored = part(begin, self._need())

    def _need(self) -> int:
        """The stored bytes from the first chunk to the last one that is wanted."""
        left, need = self._skip + self.length, 0
        for index, size in enumerate(self._segments):
            number = 0 if index else self._number
            need += 0 if number else _SALT
            rest = size - number * CHUNK
            if left <= rest:
                return need + min(_chunks(left) * (CHUNK + _TAG), rest + _TAG * _chunks(rest))
            need += rest + _TAG * _chunks(rest)
            left -= rest
        return need

    def __iter__(self) -> Iterator[bytes]:
        """Raises Changed before it yields what is not as it was written."""
        left, skip, number, salt = self.length, self._skip, self._number, self._salt
        source = _Taken(iter(self._stored))
        together: list[bytes] = []
        for size in self._segments:
            if not left:
                break
            cipher = _cipher(self._key, salt or source.take(_SALT))
            last = _chunks(size) - 1
            while number <= last and left:
                stored = source.take(min(CHUNK, size - number * CHUNK) + _TAG)
                data = _opened(cipher, stored, _nonce(number, last=number == last))[skip : skip + left]
                left, skip, number = left - len(data), 0, number + 1
                together.append(data)
                if len(together) == _TOGETHER:
                    yield b"".join(together)
                    together.clear()
            salt, number = b"", 0
        if together:
            yield b"".join(together)

    def close(self) -> None:
        self._stored.close()


def _opened(cipher: AESGCM, stored: bytes, nonce: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(nonce, stored, None)
    except InvalidTag:
        raise Changed("an encrypted chunk is not as it was written") from None


def _all(reading: Reading) -> Iterator[bytes]:
    try:
        yield from reading
    finally:
        reading.close()


class _Taken:
    """So many bytes at a time of pieces that are cut elsewhere."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def take(self, size: int) -> bytes:
        """Raises Changed when there are fewer."""
        found = [self._rest[:size]]
        self._rest = self._rest[size:]
        missing = size - len(found[0])
        while missing:
            piece = memoryview(next(self._pieces, b""))
            if not piece:
                raise Changed(f"the stored bytes end {missing} bytes early")
            found.append(piece[:missing])
            self._rest = piece[missing:]
            missing -= len(found[-1])
        return bytes(found[0]) if len(found) == 1 else b"".join(found)
