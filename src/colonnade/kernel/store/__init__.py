"""Where Colonnade remembers: documents with versions, under keys, in transactions.

One Protocol; `sqlite.py` is the embedded default, `memory.py` the twin for tests and `--ephemeral`. Every resource,
S3 key, credential and queue entry is a document here, so one transaction covers whatever must change together,
with its history, audit record and outbox event.

Promises of every implementation (the contract suite in `colonnade.testing` holds them to it):

- A transaction sees a stable snapshot plus its own writes. Writers are serialised; readers never wait for them.
- When `write()` leaves its block without an exception, all of it is durable (survives power loss where the store
  has a disk) and visible to every process; after an exception none of it ever happened.
- `put(..., expect=n)` fails with `Conflict` unless the stored version is n (0: must not exist). Versions grow by 1.
- Documents are JSON-able mappings (str, int, float, bool, None, list, dict). What `get` returns is the caller's own:
  changing it changes nothing stored.
- Scans are ordered by the UTF-8 bytes of names, then nothing: (order value, name) is a total order.
- Contents are small pieces of bytes under numbers: they come and go in the same transactions as the documents that name
  them, and no get or scan of documents reads them. A number is never given twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

Document = dict[str, Any]


class Conflict(Exception):  # noqa: N818 - a condition that callers handle, named for what happened
    """Somebody else changed the document first, or it exists (or not) against expectation."""

    def __init__(self, key: Key, expected: int | None, found: int) -> None:
        super().__init__(f"{key}: expected version {expected}, found {found}")
        self.key = key
        self.expected = expected
        self.found = found


class Corrupt(Exception):  # noqa: N818
    """A stored row does not match its checksum: it was changed by something other than the store."""


class WrongFormat(Exception):  # noqa: N818
    """What lies there was written by a newer release, or is no store of ours. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Scope:
    """All documents of one type in one account and region. S3 keys and IAM use an empty region, being global."""

    partition: str
    account: str
    region: str
    service: str
    type: str

    def key(self, name: str) -> Key:
        return Key(self.partition, self.account, self.region, self.service, self.type, name)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    partition: str
    account: str
    region: str
    service: str
    type: str
    name: str

    @property
    def scope(self) -> Scope:
        return Scope(self.partition, self.account, self.region, self.service, self.type)

    def __str__(self) -> str:
        return f"{self.service}/{self.type}/{self.name} ({self.account}, {self.region or 'global'})"


@dataclass(frozen=True, slots=True)
class Stored:
    key: Key
    version: int
    document: Document
    created: float
    """Epoch seconds of the first put."""
    modified: float
    """Epoch seconds of the last put."""
    status: str
    """The promoted member that lists filter and sort by; empty where a type has none."""
    owner: str
    """Text of the key of the resource on whose behalf this one exists; empty for a user's own."""
    active: bool
    """Whether a reconciler still has work with it."""


class Order(Enum):
    NAME = "name"
    CREATED = "created"
    MODIFIED = "modified"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Query:
    """What to scan, in which order. Filters combine with AND; absent ones do not filter."""

    order: Order = Order.NAME
    descending: bool = False
    after: tuple[str | float, str] | None = None
    """(order value, name) of the last row already seen; for Order.NAME both are the name."""
    limit: int | None = None
    name_prefix: str = ""
    name_contains: str = ""
    """Substring, ASCII case ignored, of names without NUL characters."""
    name_from: str = ""
    """Only names >= this one (UTF-8 byte order)."""
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    """Bounds are exclusive."""
    status: str | None = None
    owner: str | None = None
    active: bool | None = None


ALL = Query()


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the append-only journal: history, audit or outbox, told apart by `stream`."""

    stream: str
    """"history", "audit" or "outbox"."""
    subject: str
    """Whom it is about: a key's text, an ARN."""
    at: float
    body: Mapping[str, Any]
    sequence: int = 0
    """Given by the store, growing within its stream; 0 before it is stored."""


class Reader(Protocol):
    def get(self, key: Key) -> Stored | None: ...

    def scan(self, scope: Scope, query: Query = ALL) -> Sequence[Stored]: ...

    def scan_types(self, service: str, type: str, *, active: bool | None = None) -> Sequence[Stored]:
        """Across all accounts and regions, in key order: what a reconciler looks through."""
        ...

    def count(self, scope: Scope) -> int: ...

    def count_by_status(self, service: str, type: str) -> Mapping[str, int]:
        """Across all accounts and regions, without reading a document."""
        ...

    def content(self, id: int) -> bytes | None: ...

    def events(
        self, stream: str, *, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[Event]:
        """Oldest first, those with a sequence above `after`."""
        ...


class Transaction(Reader, Protocol):
    def put(
        self,
        key: Key,
        document: Mapping[str, Any],
        *,
        expect: int | None = None,
        at: float,
        status: str = "",
        owner: str = "",
        active: bool = False,
    ) -> Stored:
        """Insert or replace. `expect` None takes whatever is there. `created` survives replacement."""
        ...

    def delete(self, key: Key, *, expect: int | None = None) -> bool:
        """False when it was not there (with `expect` given: raises Conflict)."""
        ...

    def add_content(self, data: bytes) -> int:
        """Under which number. Whoever puts it into a document removes it with that document: nobody else knows of it."""
        ...

    def remove_content(self, id: int) -> None:
        """Silent when there is none."""
        ...

    def append(self, event: Event) -> None: ...


class Store(Protocol):
    def read(self) -> AbstractContextManager[Reader]:
        """A stable snapshot."""
        ...

    def write(self) -> AbstractContextManager[Transaction]:
        """One at a time across all processes; keep it short, never wait for anything inside."""
        ...

    def close(self) -> None: ...


def each(reader: Reader, scope: Scope, query: Query = ALL, *, page: int = 500) -> Iterator[Stored]:
    """Every row of a scan by name, fetched page by page so that memory stays flat."""
    from dataclasses import replace

    last: tuple[str | float, str] | None = query.after
    while True:
        rows = reader.scan(scope, replace(query, order=Order.NAME, after=last, limit=page))
        yield from rows
        if len(rows) < page:
            return
        last = (rows[-1].key.name, rows[-1].key.name)
