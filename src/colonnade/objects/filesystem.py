"""Content as files below one folder, spread over 256 folders by the first two digits of the id.

A file gets its final name at once: until the index names its id nobody looks for it, so there is nothing to rename. Small
objects cost one file, two fsyncs (file and folder) and no copy.

The folders keep strangers out; the files themselves may be read and not written by all, so that one bound into a job's
namespace can be read there by the job's own user.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from colonnade.objects import PIECE, Blob

_Fill = Callable[[int], int]
"""Writes to a descriptor and says how many bytes."""


class FilesystemObjects:
    """Any number of processes may use one folder. `durable=False` leaves the fsyncs out, for content that may be lost."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder = str(folder)
        self._durable = durable
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(256):
            (folder / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
        if durable:
            _sync_folder(self._folder)

    def write(self, pieces: Iterable[bytes]) -> Blob:
        def fill(descriptor: int) -> int:
            size = 0
            for piece in pieces:
                size += len(piece)
                _write_all(descriptor, piece)
            return size

        return self._new(fill)

    def join(self, ids: Sequence[str]) -> Blob:
        return self._new(lambda descriptor: sum(self._copy(id, descriptor) for id in ids))

    def open(self, id: str, offset: int = 0, length: int | None = None) -> FileReading:
        descriptor = os.open(self._path(id), os.O_RDONLY | os.O_CLOEXEC)
        rest = max(0, os.fstat(descriptor).st_size - offset)
        return FileReading(descriptor, offset, rest if length is None else min(rest, length))

    def path(self, id: str) -> Path | None:
        return Path(self._path(id))

    def delete(self, id: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._path(id))  # noqa: PTH108 - text paths are several times faster, and this runs at each put

    def sweep(self, referenced: Container[str], *, older_than: float) -> Sequence[str]:
        gone = [
            file.name
            for file in self._files()
            if _modified(file) < older_than and file.name not in referenced
        ]
        for id in gone:
            self.delete(id)
        return gone

    def _files(self) -> Iterator[os.DirEntry[str]]:
        for number in range(256):
            with os.scandir(f"{self._folder}/{number:02x}") as entries:
                yield from entries

    def _path(self, id: str) -> str:
        return f"{self._folder}/{id[:2]}/{id}"

    def _new(self, fill: _Fill) -> Blob:
        id = uuid.uuid4().hex
        path = self._path(id)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            size = fill(descriptor)
            if self._durable:
                os.fsync(descriptor)
                _sync_folder(f"{self._folder}/{id[:2]}")
        except BaseException:
            os.unlink(path)  # noqa: PTH108
            raise
        finally:
            os.close(descriptor)
        return Blob(id, size)

    def _copy(self, id: str, target: int) -> int:
        """By the kernel, which shares the blocks where the file system can."""
        source = os.open(self._path(id), os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(source).st_size
            done = 0
            while done < size:
                try:
                    copied = os.copy_file_range(source, target, size - done)
                except OSError:  # Not on every file system: then through memory, piece by piece.
                    copied = _write_all(target, os.pread(source, PIECE, done))
                    os.lseek(source, done + copied, os.SEEK_SET)
                if copied == 0:
                    raise OSError(f"blob {id} ended at {done} of {size} bytes")
                done += copied
            return size
        finally:
            os.close(source)


class FileReading:
    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self.length = length
        self._descriptor: int | None = descriptor
        self._offset = offset

    def __iter__(self) -> Iterator[bytes]:
        done = 0
        while done < self.length:
            if self._descriptor is None:
                raise ValueError("reading a blob that was closed")
            piece = os.pread(self._descriptor, min(PIECE, self.length - done), self._offset + done)
            if not piece:
                raise OSError(f"a blob ended {self.length - done} bytes early: something else cut the file")
            done += len(piece)
            yield piece

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _write_all(descriptor: int, data: bytes) -> int:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])
    return written


def _modified(file: os.DirEntry[str]) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # Deleted since the folder was read.
        return float("inf")


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


OBJECTS = FilesystemObjects
