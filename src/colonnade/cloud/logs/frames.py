"""The file of one log stream: a head line, then frames, each appended by one write.

    {"format": 1, "group": "/aws/sagemaker/TrainingJobs", "stream": "job/algo-1", "created": 1700000000000}
    [[1700000000123, "first line"], [1700000000456, "second line"]]
    000000000064 5f3a09c1 00000000000000000042 001700000000123 001700000000456 001700000000500

A frame is the events' line and a trailer of fixed width: length and checksum of the line, then what is true of the stream
up to here (the writer's position, first and last timestamp) and when the frame came in. So the end of the file tells all
about the stream, reading goes backwards as easily as forwards, and a position is recorded with its events or not at all: what a
killed writer leaves behind has no trailer, is never read, and is cut off by the next writer.

An event's address is (offset of its frame, index in it). Addresses grow with the file and never change.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

_log = logging.getLogger(__name__)
_FORMAT = 1
_TRAILER = re.compile(rb"(\d{12}) ([0-9a-f]{8}) (\d{20}) (\d{15}) (\d{15}) (\d{15})\n")
_WIDTH = 12 + 8 + 20 + 3 * 15 + 6

Address = tuple[int, int]
START: Address = (0, 0)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    address: Address
    timestamp: int
    """Milliseconds, like all times here."""
    ingested: int
    message: str


@dataclass(frozen=True, slots=True)
class Trailer:
    length: int
    checksum: int
    position: int
    first: int
    last: int
    ingested: int

    @classmethod
    def read(cls, data: bytes) -> Trailer | None:
        match = _TRAILER.fullmatch(data)
        if match is None:
            return None
        length, checksum, position, first, last, ingested = match.groups()
        return cls(int(length), int(checksum, 16), int(position), int(first), int(last), int(ingested))

    def write(self) -> bytes:
        return (
            f"{self.length:012d} {self.checksum:08x} {self.position:020d} "
            f"{self.first:015d} {self.last:015d} {self.ingested:015d}\n"
        ).encode()


EMPTY = Trailer(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Head:
    group: str
    stream: str
    created: int


def create(path: Path, head: Head) -> bool:
    """False when there is one already. Appears with its head or not at all."""
    line = {"format": _FORMAT, "group": head.group, "stream": head.stream, "created": head.created}
    draft = path.with_name(f".{os.getpid()}-{os.urandom(6).hex()}.draft")
    with draft.open("wb") as file:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def head(path: Path) -> Head:
    with path.open("rb") as file:
        return _head(file)


def append(path: Path, events: Sequence[tuple[int, str]], *, position: int | None, now: int) -> bool:
    """Add a frame, unless `position` is not above the stream's. False when the file is gone: raised by nobody, for the
    caller may want to make it anew."""
    try:
        file = path.open("r+b", buffering=0)
    except FileNotFoundError:
        return False
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink == 0:
            return False
        with os.fdopen(os.dup(file.fileno()), "rb") as reader:
            end, state = _last(reader)
        if end < file.seek(0, os.SEEK_END):
            file.truncate(end)  # what a killed writer left
        if position is None or position > state.position:
            _write(file, end, _frame(events, position, now, state))
    return True


def state(path: Path) -> Trailer:
    """What the last whole frame says; EMPTY before the first."""
    with path.open("rb") as file:
        return _last(file)[1]


def end(path: Path) -> Address:
    """The address that the next event will have."""
    with path.open("rb") as file:
        return _last(file)[0], 0


def forward(path: Path, after: Address = START) -> Iterator[StoredEvent]:
    """Events from this address on, oldest first, up to the last whole frame. Raises ValueError for an address that no frame has."""
    with path.open("rb") as file:
        offset, index = _boundary(file, after)
        file.seek(offset)
        for start, trailer, line in _frames(file):
            yield from _events(start, trailer, line)[index if start == offset else 0 :]


def backward(path: Path, before: Address | None = None) -> Iterator[StoredEvent]:
    """Events before this address (default: the end), newest first."""
    with path.open("rb") as file:
        if before is None:
            end = _last(file)[0]
        else:
            end, index = _boundary(file, before)
            if index:
                file.seek(end)
                start, trailer, line = next(_frames(file), (end, EMPTY, b"[]"))
                yield from reversed(_events(start, trailer, line)[:index])
        for start, trailer, line in _frames_before(file, end):
            yield from reversed(_events(start, trailer, line))


def _frame(events: Sequence[tuple[int, str]], position: int | None, now: int, state: Trailer) -> bytes:
    line = json.dumps([list(event) for event in events], separators=(",", ":")).encode() + b"\n"
    times = [timestamp for timestamp, _ in events]
    known = [state.first] if state.first else []
    trailer = Trailer(
        length=len(line),
        checksum=zlib.crc32(line),
        position=state.position if position is None else position,
        first=min([*times, *known], default=0),
        last=max([*times, state.last]),
        ingested=now if events else state.ingested,
    )
    return line + trailer.write()


def _write(file: IO[bytes], end: int, frame: bytes) -> None:
    """All of the frame or nothing, as far as this process lives to see it."""
    file.seek(end)
    view = memoryview(frame)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(end)
        raise


def _last(file: IO[bytes]) -> tuple[int, Trailer]:
    """The end of the last whole frame, and its trailer. The usual case reads a few bytes."""
    begin = _first_frame(file)
    end = file.seek(0, os.SEEK_END)
    if end <= begin:
        return begin, EMPTY
    frame = _frame_before(file, end)
    if frame is not None:
        return end, frame[1]
    file.seek(begin)
    last = (begin, EMPTY)
    for start, trailer, _ in _frames(file):
        last = (start + trailer.length + _WIDTH, trailer)
    return last


def _frames(file: IO[bytes]) -> Iterator[tuple[int, Trailer, bytes]]:
    """(offset, trailer, line) of whole frames from the file's place on."""
    offset = file.tell()
    while line := _read_line(file):
        trailer = Trailer.read(_read(file, _WIDTH))
        if trailer is not None and _whole(trailer, line):
            yield offset, trailer, line
            offset += len(line) + _WIDTH
        elif trailer is None and file.seek(0, os.SEEK_CUR) >= file.seek(0, os.SEEK_END):
            return
        else:
            _log.warning("%s: a damaged frame at byte %d is left out", getattr(file, "name", file), offset)
            offset += len(line)
        file.seek(offset)


def _frames_before(file: IO[bytes], end: int) -> Iterator[tuple[int, Trailer, bytes]]:
    while (frame := _frame_before(file, end)) is not None:
        end = frame[0]
        yield frame
    begin = _first_frame(file)
    if end > begin:  # a damaged frame ends here: what is before it can only be found from the front
        file.seek(begin)
        yield from reversed([frame for frame in _frames(file) if frame[0] < end])


def _frame_before(file: IO[bytes], end: int) -> tuple[int, Trailer, bytes] | None:
    if end < _WIDTH:
        return None
    file.seek(end - _WIDTH)
    trailer = Trailer.read(_read(file, _WIDTH))
    start = end - _WIDTH - trailer.length if trailer else -1
    if trailer is None or start < 0:
        return None
    file.seek(start)
    line = _read(file, trailer.length)
    return (start, trailer, line) if _whole(trailer, line) else None


def _whole(trailer: Trailer, line: bytes) -> bool:
    return trailer.length == len(line) and trailer.checksum == zlib.crc32(line)


def _boundary(file: BinaryIO, address: Address) -> Address:
    """The address, checked to be at the edge of a frame: clients send them."""
    offset, index = address
    begin = _first_frame(file)
    if offset <= begin:
        return (begin, index if offset == begin else 0)
    if offset > file.seek(0, os.SEEK_END) or _frame_before(file, offset) is None:
        raise ValueError(f"no frame begins at byte {offset}")
    return address


def _events(start: int, trailer: Trailer, line: bytes) -> list[StoredEvent]:
    return [
        StoredEvent((start, index), timestamp, trailer.ingested, message)
        for index, (timestamp, message) in enumerate(json.loads(line))
    ]


def _head(file: IO[bytes]) -> Head:
    file.seek(0)
    known: dict[str, Any] = json.loads(_read_line(file))
    if known["format"] != _FORMAT:
        raise ValueError(
            f"{getattr(file, 'name', file)} has format {known['format']}; this version reads {_FORMAT}"
        )
    return Head(known["group"], known["stream"], known["created"])


def _first_frame(file: IO[bytes]) -> int:
    file.seek(0)
    return len(_read_line(file))


def _read_line(file: IO[bytes]) -> bytes:
    """The next line with its end; empty where there is none yet."""
    line = file.readline()
    return line if line.endswith(b"\n") else b""


def _read(file: IO[bytes], size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
