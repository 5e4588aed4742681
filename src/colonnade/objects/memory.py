"""Content in memory: for tests. It has no paths, so jobs cannot read it in place."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

from colonnade.objects import PIECE, Blob


class MemoryObjects:
    def __init__(self) -> None:
        self._blobs: dict[str, tuple[bytes, float]] = {}
        """By id: the bytes, and when they were written."""
        self._lock = threading.Lock()

    def write(self, pieces: Iterable[bytes]) -> Blob:
        data = b"".join(pieces)
        blob = Blob(uuid.uuid4().hex, len(data))
        with self._lock:
            self._blobs[blob.id] = (data, time.time())
        return blob

    def join(self, ids: Sequence[str]) -> Blob:
        return self.write([self._data(id) for id in ids])

    def open(self, id: str, offset: int = 0, length: int | None = None) -> MemoryReading:
        data = self._data(id)
        end = len(data) if length is None else min(len(data), offset + length)
        return MemoryReading(data[offset:end])

    def path(self, id: str) -> Path | None:
        return None

    def delete(self, id: str) -> None:
        with self._lock:
            self._blobs.pop(id, None)

    def sweep(self, referenced: Container[str], *, older_than: float) -> Sequence[str]:
        with self._lock:
            gone = [id for id, (_, at) in self._blobs.items() if at < older_than and id not in referenced]
            for id in gone:
                del self._blobs[id]
        return gone

    def _data(self, id: str) -> bytes:
        with self._lock:
            if id not in self._blobs:
                raise FileNotFoundError(f"no blob {id}")
            return self._blobs[id][0]


class MemoryReading:
    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, self.length, PIECE):
            yield self._data[start : start + PIECE]

    def close(self) -> None:
        """Nothing is held."""


OBJECTS = MemoryObjects
