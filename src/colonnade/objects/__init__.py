"""Content: bytes under ids. What an object is called, who owns it and when it changed is the store's business. So are the
bytes of small objects (`cloud/s3/content.py`), which never come here.

One Protocol, one file per place where bytes can lie; `load` finds one by name. An id belongs to one write and is never used
again. Content-addressed ids would share equal bytes, but then every delete needs a count of users, kept in step with the
index across crashes; with an id per write a blob has exactly one user, and whatever the index does not name is garbage.

Write first, then commit the id to the index; commit the removal, then delete. A crash in between leaves a blob that nobody
names, never a name without its blob; `sweep` finds those.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

PIECE = 1024 * 1024
"""How many bytes readers take at a time."""


@dataclass(frozen=True, slots=True)
class Blob:
    id: str
    size: int


class Reading(Protocol):
    """Part of a blob, being read. It stays readable when the blob is deleted meanwhile."""

    length: int

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of at most `PIECE` bytes, `length` bytes in all."""
        ...

    def close(self) -> None:
        """Twice does no harm."""
        ...


class ObjectStore(Protocol):
    def write(self, pieces: Iterable[bytes]) -> Blob:
        """Keep all pieces under a new id. Durable when it returns (unless the store was made otherwise). When `pieces`
        raises, so does this, and nothing is kept. Memory stays flat."""
        ...

    def join(self, ids: Sequence[str]) -> Blob:
        """A new blob of the given ones' bytes, in order; they stay. A single id may be given: that is a copy."""
        ...

    def open(self, id: str, offset: int = 0, length: int | None = None) -> Reading:
        """From `offset`, to the end unless `length` says less. Raises FileNotFoundError."""
        ...

    def path(self, id: str) -> Path | None:
        """Where the bytes lie on this machine, never to be written or hard-linked; None when they lie elsewhere."""
        ...

    def delete(self, id: str) -> None:
        """Silent when there is none."""
        ...

    def sweep(self, referenced: Container[str], *, older_than: float) -> Sequence[str]:
        """Delete what was written before `older_than` (epoch seconds) and is not referenced; the ids that went. The age
        spares blobs whose index entry is being committed right now: read `referenced` after choosing `older_than`."""
        ...


def load(name: str) -> type[ObjectStore]:
    """The object store class of that name: attribute `OBJECTS` of the module beside this file."""
    return cast(type[ObjectStore], import_module(f"{__name__}.{name}").OBJECTS)
