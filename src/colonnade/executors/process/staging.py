"""Bringing a work's inputs to where its contract wants them: big ones by a read-only bind, where the work gets a view of its
own, others by reflink where the file system can, else by copy.

Never a hard link: the work owns its files and may write to them, a stored object must not change. Bytes that only the
caller could read (encrypted, remote) come as pieces of a spool file that it wrote before.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

Piece = dict[str, Any]
"""path, and for a part of that file offset and size: contents as the specification names them."""

SHOWN_FROM = 16 << 20
"""Bytes; copying less takes some milliseconds."""
_FICLONE = 0x40049409


class StagingFailed(Exception):  # noqa: N818 - what happened, not a fault in the program
    """The command cannot begin; the text is for the user."""


class _Part(io.RawIOBase):
    """A stretch of a file, read-only."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file, self._left = file, size
        file.seek(offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def open_piece(piece: Piece) -> BinaryIO:
    file = Path(piece["path"]).open("rb")  # noqa: SIM115 - the caller closes it
    if piece.get("size") is None:
        return file
    return cast(BinaryIO, io.BufferedReader(_Part(file, piece["offset"], piece["size"])))


def place(piece: Piece, target: Path) -> None:
    """Write a content to a new file. Raises StagingFailed when it cannot."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_piece(piece) as source, target.open("xb") as sink:
            if piece.get("size") is not None or not _cloned(source, sink):
                shutil.copyfileobj(source, sink, 1 << 20)
    except OSError as error:
        raise StagingFailed(f"cannot write {target.name}: {error.strerror or error}") from error


def can_be_shown(piece: Piece, *, stranger: bool) -> bool:
    """Whether a content is a big file of its own, readable by the work's user."""
    if piece.get("size") is not None:
        return False
    try:
        status = Path(piece["path"]).stat()
    except OSError:
        return False  # place() says what is wrong
    return status.st_size >= SHOWN_FROM and (not stranger or bool(status.st_mode & 0o004))


def place_holder(target: Path) -> None:
    """Something for a file to be shown at. Raises StagingFailed when it cannot."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(exist_ok=False)
    except OSError as error:
        raise StagingFailed(f"cannot write {target.name}: {error.strerror or error}") from error


def _cloned(source: BinaryIO, sink: BinaryIO) -> bool:
    try:
        fcntl.ioctl(sink.fileno(), _FICLONE, source.fileno())
    except OSError:
        return _copied_in_kernel(source, sink)
    return True


def _copied_in_kernel(source: BinaryIO, sink: BinaryIO) -> bool:
    try:
        while os.copy_file_range(source.fileno(), sink.fileno(), 1 << 30):
            pass
    except (AttributeError, OSError):
        source.seek(0)
        sink.seek(0)
        sink.truncate()
        return False
    return True


def unpack(piece: Piece, target: Path, ended: Callable[[], bool]) -> None:
    """Unpack a tar archive, gzipped or not, into a folder. Nothing of it can come to lie elsewhere."""
    import tarfile  # only works with archives pay for it

    target.mkdir(parents=True, exist_ok=True)
    try:
        with open_piece(piece) as source, tarfile.open(fileobj=source, mode="r|*") as archive:
            for member in archive:
                if ended():
                    return
                archive.extract(member, target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise StagingFailed(f"cannot unpack the archive into {target.name}: {error}") from error
