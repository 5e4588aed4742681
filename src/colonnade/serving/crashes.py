"""Compiled models that take their worker down with them: noticed by the next worker, and set apart in processes of their own.

A worker notes in a small mapped file which model it is predicting with; what the kernel holds of that file outlives the worker.
When one ended by a fault (of memory, of arithmetic, by abort; a kill from outside is none) the next one to start marks the
models that were noted. A marked model is not loaded any more, and the endpoint's reconciler serves it natively.
"""

from __future__ import annotations

import faulthandler
import logging
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from colonnade.serving.instances import Predicts

_log = logging.getLogger(__name__)
_MARK = "crashed"
_ROOM, _PLACES = 1024, 64
"""Bytes for a note, the first of which says whether it counts; and how many threads have one."""


def crashed(folder: Path) -> str:
    """What is known of a compiled model's crash; empty while it behaves."""
    try:
        return (folder / _MARK).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


class Witness:
    """Of one process. Notes nothing until it is opened."""

    def __init__(self) -> None:
        self._notes: mmap.mmap | None = None
        self._trace: IO[str] | None = None
        self._places: dict[int, int] = {}
        self._noted: dict[int, bytes] = {}

    def open(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        base = folder / str(os.getpid())
        base.write_bytes(bytes(_ROOM * _PLACES))
        with base.open("r+b") as file:
            self._notes = mmap.mmap(file.fileno(), 0)
        self._trace = base.with_suffix(".trace").open("w", encoding="utf-8")
        faulthandler.enable(self._trace, all_threads=False)

    def close(self) -> None:
        """At an orderly end: there is nothing to tell."""
        if self._notes is None or self._trace is None:
            return
        faulthandler.disable()
        for name in (Path(self._trace.name), Path(self._trace.name).with_suffix("")):
            name.unlink(missing_ok=True)
        self._trace.close()
        self._notes = None

    def begin(self, model: bytes) -> int:
        """`model` is the folder's path. Answers what `end` takes."""
        thread = threading.get_ident()
        place = self._places.get(thread)
        if place is None:
            place = self._places[thread] = len(self._places) % _PLACES * _ROOM
        notes = self._notes
        if notes is not None:
            if self._noted.get(place) is not model:
                self._noted[place] = model
                notes[place + 1 : place + _ROOM] = model[: _ROOM - 1].ljust(_ROOM - 1, b"\0")
            notes[place] = 1
        return place

    def end(self, place: int) -> None:
        if self._notes is not None:
            self._notes[place] = 0

    @contextmanager
    def noting(self, model: Path) -> Iterator[None]:
        place = self.begin(os.fsencode(model))
        try:
            yield
        finally:
            self.end(place)


witness = Witness()
"""This process's."""


class Noted:
    """A compiled model whose predictions are noted."""

    def __init__(self, model: Predicts, folder: Path) -> None:
        self._invoke = model.invoke
        self._folder = os.fsencode(folder)

    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        place = witness.begin(self._folder)
        try:
            return self._invoke(body, content_type, accept)
        finally:
            witness.end(place)


def mark_what_crashed(folder: Path) -> list[Path]:
    """Mark the models that workers which are no more crashed with; called by each worker as it starts."""
    marked = []
    for trace in sorted(folder.glob("*.trace")):
        if not _is_gone(int(trace.stem)):
            continue
        taken = trace.with_suffix(".read")
        with suppress(FileNotFoundError):  # another worker was faster
            trace.rename(taken)
            marked += _mark(taken.read_text(encoding="utf-8", errors="replace"), taken.with_suffix(""))
            taken.unlink()
            taken.with_suffix("").unlink(missing_ok=True)
    return marked


def _mark(trace: str, notes: Path) -> list[Path]:
    if not trace.strip():
        return []
    models = {Path(os.fsdecode(each)) for each in _noted(notes.read_bytes())}
    reason = trace.strip().splitlines()[0]
    for model in models:
        _log.error("worker %s ended while it predicted with %s: %s", notes.name, model, trace)
        with suppress(FileNotFoundError):  # of a model that was deleted meanwhile
            (model / _MARK).write_text(reason, encoding="utf-8")
    return sorted(models)


def _noted(notes: bytes) -> Iterator[bytes]:
    for place in range(0, len(notes), _ROOM):
        if notes[place]:
            yield notes[place + 1 : place + _ROOM].rstrip(b"\0")


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
