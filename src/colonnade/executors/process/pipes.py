"""Pipe mode: a channel as FIFOs, one an epoch, fed by a thread of the runner (semantics 1.12).

A reader opens `<channel>_0`, reads to its end or closes early, then tries `<channel>_1`. The next FIFO comes into being when
the one before is done with.
"""

from __future__ import annotations

import errno
import gzip
import os
import random
import shutil
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from colonnade.executors.process.staging import Piece, open_piece

_MAGIC = 0xCED7230A
_LONGEST = (1 << 29) - 4
"""Payload of one RecordIO part: its length field has 29 bits."""


def serve(pipe: Mapping[str, Any], base: Path, uid: int | None) -> None:
    """Make the first FIFO now and feed this and its followers from a thread, until the process ends."""
    base.parent.mkdir(parents=True, exist_ok=True)
    first = _make(base, 0, uid)
    threading.Thread(target=_feed, args=(pipe, base, first, uid), daemon=True).start()


def _feed(pipe: Mapping[str, Any], base: Path, fifo: Path, uid: int | None) -> None:
    epoch = 0
    while True:
        descriptor = _open_for_reader(fifo)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as sink:
                for piece in _order(pipe, epoch):
                    _send(piece, pipe, cast(BinaryIO, sink))
        except BrokenPipeError:
            pass  # The reader closed early: it wants the next epoch, or nothing more.
        fifo.unlink(missing_ok=True)
        epoch += 1
        fifo = _make(base, epoch, uid)


def _make(base: Path, epoch: int, uid: int | None) -> Path:
    fifo = base.with_name(f"{base.name}_{epoch}")
    os.mkfifo(fifo, 0o644)
    if uid is not None:
        os.chown(fifo, uid, uid)
    return fifo


def _open_for_reader(fifo: Path) -> int:
    """Wait for a reader. Without blocking for good in open(), which nothing but a reader could end."""
    while True:
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(0.005)
        else:
            os.set_blocking(descriptor, True)
            return descriptor


def _order(pipe: Mapping[str, Any], epoch: int) -> Iterator[Piece]:
    """Contents in this epoch's order; those of a group stay together."""
    contents: Sequence[Piece] = pipe["contents"]
    size = pipe["group"]
    groups = [contents[start : start + size] for start in range(0, len(contents), size)]
    if pipe["shuffle_seed"] is not None:
        random.Random(pipe["shuffle_seed"] + epoch).shuffle(groups)
    for group in groups:
        yield from group


def _send(piece: Piece, pipe: Mapping[str, Any], sink: BinaryIO) -> None:
    with open_piece(piece) as raw:
        source = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if pipe["gunzip"] else raw
        if pipe["record_io"]:
            for part in _records(source.read()):
                _write(sink, part)
        else:
            shutil.copyfileobj(source, _Whole(sink), 1 << 16)


class _Whole:
    """A raw FIFO's write may take less than it was given."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def write(self, data: bytes) -> int:
        _write(self._sink, data)
        return len(data)


def _write(sink: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[sink.write(view) or 0 :]


def _records(payload: bytes) -> Iterator[bytes]:
    """A payload framed as one RecordIO record, in several parts where it is longer than a part may be."""
    pieces = [payload[at : at + _LONGEST] for at in range(0, len(payload), _LONGEST)] or [b""]
    for number, piece in enumerate(pieces):
        first, last = number == 0, number == len(pieces) - 1
        flag = 0 if first and last else 1 if first else 3 if last else 2
        yield struct.pack("<II", _MAGIC, flag << 29 | len(piece)) + piece + b"\0" * (-len(piece) % 4)
