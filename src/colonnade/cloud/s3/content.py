"""Bytes on their way in (hashed, verified, kept) and out (verified once more).

Most lie in the object store. Small ones are handed to the transaction that names them, and lie in the store beside their
document: one commit makes both durable, where a file of its own would take two more fsyncs.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import chain
from typing import Any, Protocol

from colonnade.cloud.s3 import checksums
from colonnade.cloud.s3.index import ObjectRecord
from colonnade.cloud.s3.refusals import refusal
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.store import Reader
from colonnade.objects import PIECE, ObjectStore, Reading
from colonnade.objects.memory import MemoryReading
from colonnade.objects.sealed import Changed, Unsealed, sealed

MOST = 5 * 1024**3
"""Bytes in one PutObject or part."""
SMALL = 16 * 1024
"""Bytes up to which an object lies in the store: four of its pages, written twice (log and file)."""
_WORTH_A_THREAD = 32 * 1024


class Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Received:
    blob: str
    """Empty when the bytes are `small`, and not kept yet."""
    size: int
    md5: bytes
    crc32: int
    algorithm: str
    checksum: str
    """Base64 of the algorithm that the client named; both empty when it named none."""
    small: bytes | None = None


def receive(
    objects: ObjectStore,
    parameters: Mapping[str, Any],
    *,
    algorithm: str = "",
    keep_small: bool = True,
    seal: bytes = b"",
) -> Received:
    """Keep the call's Body. Raises what S3 says to a body that is not what its checksums promise, keeping nothing.
    `algorithm` is computed when the parameters name none. Without `keep_small` a small body is the caller's to keep.
    `seal` is the data key that encrypts what is kept; size and sums are of the plain bytes."""
    body = parameters.get("Body")
    source: Source = BytesIO(body or b"") if body is None or isinstance(body, bytes) else body
    length: int = getattr(source, "length", None) or 0
    if length > MOST:
        raise refusal("EntityTooLarge", MaxSizeAllowed=str(MOST), ProposedSize=str(length))
    incoming = _Incoming(source, parameters, checksums.wanted(parameters) or algorithm)
    pieces = sealed(incoming.pieces(), seal) if seal else incoming.pieces()
    begun = [] if keep_small else _beginning(pieces)
    small = b"".join(begun)
    if not keep_small and len(small) <= SMALL:
        return incoming.received("", small)
    blob = objects.write(chain(begun, pieces))
    return incoming.received(blob.id)


def _beginning(pieces: Iterator[bytes]) -> list[bytes]:
    """All of a small body, or enough of a larger one to know that it is."""
    begun: list[bytes] = []
    size = 0
    for piece in pieces:
        begun.append(piece)
        size += len(piece)
        if size > SMALL:
            break
    return begun


class _Incoming:
    def __init__(self, source: Source, parameters: Mapping[str, Any], algorithm: str) -> None:
        self._source = source
        self._said = checksums.given(parameters)
        self._said_md5 = parameters.get("ContentMD5")
        self._algorithm = algorithm
        self._sum = checksums.begin(algorithm) if algorithm not in ("", "CRC32") else None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32 = 0
        self._size = 0

    def pieces(self) -> Iterator[bytes]:
        """What comes in. The verdict falls before the last step, so that whoever keeps the bytes learns of it."""
        aside = _Aside(self._update)
        try:
            while piece := self._source.read(PIECE):
                self._size += len(piece)
                if self._size > MOST:
                    raise refusal("EntityTooLarge", MaxSizeAllowed=str(MOST))
                aside.do(piece)
                yield piece
            aside.wait()
        finally:
            aside.close()
        self._verify()

    def _update(self, piece: bytes) -> None:
        self._md5.update(piece)
        self._crc32 = zlib.crc32(piece, self._crc32)
        if self._sum is not None:
            self._sum.update(piece)

    def received(self, blob: str, small: bytes | None = None) -> Received:
        checksum = checksums.text(self._digest()) if self._algorithm else ""
        return Received(blob, self._size, self._md5.digest(), self._crc32, self._algorithm, checksum, small)

    def _verify(self) -> None:
        if self._said_md5 is not None:
            checksums.verify_md5(self._said_md5, self._md5.digest())
        said = self._said or checksums.in_trailers(getattr(self._source, "trailers", {}))
        if said is None:
            return
        algorithm, value = said
        self._algorithm = self._algorithm or ("CRC32" if algorithm == "CRC32" else "")
        if algorithm != self._algorithm:
            raise refusal(
                "InvalidRequest",
                f"The checksum is {algorithm}, but x-amz-sdk-checksum-algorithm announced {self._algorithm or 'none'}. "
                "Announce the one that is sent.",
            )
        checksums.verify(algorithm, value, self._digest())

    def _digest(self) -> bytes:
        return self._crc32.to_bytes(4, "big") if self._sum is None else self._sum.digest()


class _Aside:
    """Does one piece while the next one is received (and hashed for its signature) and written: hashing is most of the
    work of a large upload, and lets other threads run. The first piece is done at once: small objects need no thread."""

    def __init__(self, work: Callable[[bytes], None]) -> None:
        self._work = work
        self._pool: ThreadPoolExecutor | None = None
        self._begun = False
        self._pending: Future[None] | None = None

    def do(self, piece: bytes) -> None:
        self.wait()
        if not self._begun or len(piece) < _WORTH_A_THREAD:
            self._begun = True
            self._work(piece)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "s3-hash")
        self._pending = self._pool.submit(self._work, piece)

    def wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def reading(
    objects: ObjectStore,
    reader: Reader,
    found: ObjectRecord,
    first: int = 0,
    length: int | None = None,
    *,
    key: bytes = b"",
) -> Reading:
    """An object's bytes, or some of them, with its data key where it is encrypted. Raises FileNotFoundError when they are gone,
    which the reader's snapshot keeps those of small ones from."""
    if not key:
        return _stored(objects, reader, found, first, length)
    segments = [part.size for part in found.parts] or [found.size]
    return Unsealed(partial(_stored, objects, reader, found), key, segments, first, length)


def _stored(
    objects: ObjectStore, reader: Reader, found: ObjectRecord, first: int, length: int | None
) -> Reading:
    if not found.content:
        return objects.open(found.blob, first, length)
    data = reader.content(found.content)
    if data is None:
        raise FileNotFoundError(f"no content {found.content}")
    return MemoryReading(data[first:] if length is None else data[first : first + length])


class Pieces:
    """A Source that hands on what a Reading yields."""

    def __init__(self, reading: Reading) -> None:
        self._pieces = iter(reading)

    def read(self, size: int = -1, /) -> bytes:
        return next(self._pieces, b"")


class Download:
    """A kernel ByteStream of part of an object. A whole one is checked on the way: its last piece is held back when the
    bytes on disk are no longer those that were put, so that the client sees a broken transfer and not a wrong object."""

    def __init__(self, record: ObjectRecord, reading: Reading) -> None:
        self.length = reading.length
        self._reading = reading
        self._expected = record.crc32 if reading.length == record.size else None
        self._etag = record.etag

    def __iter__(self) -> Iterator[bytes]:
        crc32, left = 0, self.length
        for piece in self._unchanged():
            left -= len(piece)
            if self._expected is not None:
                crc32 = zlib.crc32(piece, crc32)
                if not left and crc32 != self._expected:
                    raise self._damaged()
            yield piece

    def _unchanged(self) -> Iterator[bytes]:
        try:
            yield from self._reading
        except Changed:
            raise self._damaged() from None

    def close(self) -> None:
        self._reading.close()

    def checked(self) -> Download | bytes:
        """Up to a piece is read at once, so that damage is told before the answer begins, and the file is let go."""
        if self.length > PIECE:
            return self
        try:
            return b"".join(self)
        finally:
            self.close()

    def _damaged(self) -> ServiceError:
        return ServiceError(
            "InternalError",
            f"The stored bytes of the object with ETag {self._etag} do not match their checksum: the disk changed them. "
            "Put the object again, or restore a backup of the data folder.",
            status=500,
        )
