"""The store without a disk: the twin for tests, and what `--ephemeral` runs on. One process, gone when it ends.

Every row keeps the versions that some open snapshot may still ask for, stamped with the commit that wrote them. A
reader remembers the number of the last commit before it began and never sees a later one, so that readers and the
writer need no common lock beyond the moment of looking something up.
"""

from __future__ import annotations

import heapq
import threading
from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf
from typing import Any

from colonnade.kernel.store import ALL, Conflict, Event, Key, Order, Query, Scope, Stored
from colonnade.kernel.store.documents import decode, encode


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    version: int
    data: bytes
    created: float
    modified: float
    status: str
    owner: str
    active: bool


@dataclass(slots=True)
class _Shelf:
    """All rows of one scope."""

    names: list[str] = field(default_factory=list)
    """Sorted; also those of deleted rows that a snapshot still shows."""
    versions: dict[str, list[tuple[int, _Row | None]]] = field(default_factory=dict)
    """By name: (commit, row) in order of commit; None where the commit deleted it."""

    def at(self, name: str, commit: int) -> _Row | None:
        for number, row in reversed(self.versions.get(name, ())):
            if number <= commit:
                return row
        return None


@dataclass(slots=True)
class _Content:
    data: bytes
    since: int
    """The commit that added it, ..."""
    until: float = inf
    """... and the one that removed it."""


class MemoryStore:
    def __init__(self) -> None:
        self._shelves: dict[Scope, _Shelf] = {}
        self._events: dict[str, list[tuple[int, Event]]] = {}
        """By stream: (commit, event), the event of sequence n at index n - 1."""
        self._contents: dict[int, _Content] = {}
        self._removed: deque[tuple[int, int]] = deque()
        """(commit, number) of contents that are kept for the sake of a snapshot."""
        self._numbers = count(1)
        self._commit = 0
        self._snapshots: Counter[int] = Counter()
        self._superseded: deque[tuple[int, Key]] = deque()
        """(commit, key) of rows that keep an older version for the sake of a snapshot."""
        self._looking = threading.Lock()
        """Held for single look-ups and while a commit is put in place, never across a caller's block."""
        self._writing = threading.Lock()
        self._writer: int | None = None

    @contextmanager
    def read(self) -> Iterator[_Reader]:
        commit = self._open()
        try:
            yield _Reader(self, commit)
        finally:
            with self._looking:
                self._release(commit)

    @contextmanager
    def write(self) -> Iterator[_Transaction]:
        if self._writer == threading.get_ident():
            raise RuntimeError("a transaction inside a transaction of the same thread would wait for itself")
        with self._writing:
            self._writer = threading.get_ident()
            transaction = _Transaction(self, self._open())
            done = False
            try:
                yield transaction
                done = True
            finally:
                self._writer = None
                self._finish(transaction if done else _Transaction(self, transaction.commit))

    def close(self) -> None:
        """Nothing to let go of; what it holds stays readable."""

    def clear(self) -> None:
        """Empty, as new, once the transaction that runs has ended. Snapshots that are open see it empty too."""
        with self._writing, self._looking:
            self._commit += 1
            self._shelves = {}
            self._events = {}
            self._contents = {}
            self._removed.clear()
            self._superseded.clear()

    def _open(self) -> int:
        with self._looking:
            self._snapshots[self._commit] += 1
            return self._commit

    def _release(self, commit: int) -> None:
        self._snapshots[commit] -= 1
        if not self._snapshots[commit]:
            del self._snapshots[commit]

    def _finish(self, transaction: _Transaction) -> None:
        with self._looking:
            self._release(transaction.commit)
            self._commit += 1
            for key, row in transaction.changed.items():
                shelf = self._shelves.setdefault(key.scope, _Shelf())
                if key.name not in shelf.versions:
                    shelf.versions[key.name] = []
                    insort(shelf.names, key.name)
                shelf.versions[key.name].append((self._commit, row))
                self._superseded.append((self._commit, key))
            for event in transaction.appended:
                self._events.setdefault(event.stream, []).append((self._commit, event))
            for id, data in transaction.contents.items():
                if data is not None:
                    self._contents[id] = _Content(data, self._commit)
                elif id in self._contents and self._contents[id].until == inf:
                    self._contents[id].until = self._commit
                    self._removed.append((self._commit, id))
            self._tidy(min(self._snapshots, default=self._commit))

    def _tidy(self, oldest: int) -> None:
        """Forget the versions that no open snapshot can ask for."""
        while self._superseded and self._superseded[0][0] <= oldest:
            _, key = self._superseded.popleft()
            shelf = self._shelves[key.scope]
            versions = shelf.versions.get(key.name, [])
            while len(versions) > 1 and versions[1][0] <= oldest:
                versions.pop(0)
            if len(versions) == 1 and versions[0][1] is None:
                del shelf.versions[key.name]
                shelf.names.pop(bisect_left(shelf.names, key.name))
        while self._removed and self._removed[0][0] <= oldest:
            del self._contents[self._removed.popleft()[1]]


class _Reader:
    def __init__(self, store: MemoryStore, commit: int) -> None:
        self._store = store
        self.commit = commit

    def get(self, key: Key) -> Stored | None:
        row = self._row(key)
        return None if row is None else _stored(key.scope, row)

    def scan(self, scope: Scope, query: Query = ALL) -> Sequence[Stored]:
        rows: Iterable[_Row] = (row for row in self._rows(scope, query) if _matches(row, query))
        if query.order is not Order.NAME:
            value = _ORDER[query.order]
            rows = sorted(rows, key=lambda row: (value(row), row.name), reverse=query.descending)
            rows = [row for row in rows if _is_after((value(row), row.name), query)]
        found: list[Stored] = []
        for row in rows:
            if query.limit is not None and len(found) >= query.limit:
                break
            found.append(_stored(scope, row))
        return found

    def scan_types(self, service: str, type: str, *, active: bool | None = None) -> Sequence[Stored]:
        scopes = sorted(
            (scope for scope in self._scopes() if scope.service == service and scope.type == type),
            key=lambda scope: (scope.partition, scope.account, scope.region),
        )
        return [stored for scope in scopes for stored in self.scan(scope, Query(active=active))]

    def count(self, scope: Scope) -> int:
        return sum(1 for _ in self._rows(scope, Query()))

    def count_by_status(self, service: str, type: str) -> Mapping[str, int]:
        scopes = [scope for scope in self._scopes() if (scope.service, scope.type) == (service, type)]
        counts = Counter(row.status for scope in scopes for row in self._rows(scope, ALL))
        return dict(sorted(counts.items()))

    def content(self, id: int) -> bytes | None:
        with self._store._looking:
            found = self._store._contents.get(id)
        return found.data if found is not None and found.since <= self.commit < found.until else None

    def events(
        self, stream: str, *, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[Event]:
        found: list[Event] = []
        for event in self._stream(stream, after):
            if len(found) >= limit:
                break
            if subject is None or event.subject == subject:
                found.append(replace(event, body=decode(event.body["data"])))
        return found

    def _row(self, key: Key) -> _Row | None:
        with self._store._looking:
            shelf = self._store._shelves.get(key.scope)
            return None if shelf is None else shelf.at(key.name, self.commit)

    def _rows(self, scope: Scope, query: Query) -> Iterator[_Row]:
        """In the order of names and the query's direction; bounds on the name only are applied."""
        while True:
            with self._store._looking:
                shelf = self._store._shelves.get(scope)
                names = _between(shelf.names, query, at_most=_LOOK) if shelf else []
                rows = [shelf.at(name, self.commit) for name in names] if shelf else []
            yield from (row for row in rows if row is not None)
            if len(names) < _LOOK:
                return
            if query.order is Order.NAME:
                query = replace(query, after=(names[-1], names[-1]))
            else:
                query = replace(query, order=Order.NAME, descending=False, after=(names[-1], names[-1]))

    def _scopes(self) -> set[Scope]:
        with self._store._looking:
            return set(self._store._shelves)

    def _stream(self, stream: str, after: int) -> list[Event]:
        with self._store._looking:
            events = self._store._events.get(stream, [])
            return [event for _, event in events[max(0, after) : self._end(events)]]

    def _length(self, stream: str) -> int:
        with self._store._looking:
            return self._end(self._store._events.get(stream, []))

    def _end(self, events: list[tuple[int, Event]]) -> int:
        return bisect_right(events, self.commit, key=lambda entry: entry[0])


class _Transaction(_Reader):
    """Its own changes lie over the snapshot until the block ends."""

    def __init__(self, store: MemoryStore, commit: int) -> None:
        super().__init__(store, commit)
        self.changed: dict[Key, _Row | None] = {}
        self.appended: list[Event] = []
        self.contents: dict[int, bytes | None] = {}
        """By number; None for those removed."""
        self._lengths: dict[str, int] = {}
        """By stream: how many events there are, ours included."""

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
        data = encode(document)
        for text in (*_texts(key), status, owner):
            text.encode()  # Refuses lone surrogates, as the disk would.
        found = self._expected(key, expect)
        version, created = (found.version + 1, found.created) if found else (1, float(at))
        row = _Row(key.name, version, data, created, float(at), status, owner, bool(active))
        self.changed[key] = row
        return _stored(key.scope, row)

    def delete(self, key: Key, *, expect: int | None = None) -> bool:
        if self._expected(key, expect) is None:
            return False
        self.changed[key] = None
        return True

    def content(self, id: int) -> bytes | None:
        return self.contents[id] if id in self.contents else super().content(id)

    def add_content(self, data: bytes) -> int:
        id = next(self._store._numbers)
        self.contents[id] = bytes(data)
        return id

    def remove_content(self, id: int) -> None:
        self.contents[id] = None

    def append(self, event: Event) -> None:
        if event.stream not in self._lengths:
            self._lengths[event.stream] = self._length(event.stream)
        self._lengths[event.stream] += 1
        body = {"data": encode(event.body)}
        self.appended.append(
            replace(event, at=float(event.at), body=body, sequence=self._lengths[event.stream])
        )

    def _expected(self, key: Key, expect: int | None) -> _Row | None:
        found = self._row(key)
        version = found.version if found else 0
        if expect is not None and expect != version:
            raise Conflict(key, expect, version)
        return found

    def _row(self, key: Key) -> _Row | None:
        return self.changed[key] if key in self.changed else super()._row(key)

    def _rows(self, scope: Scope, query: Query) -> Iterator[_Row]:
        mine = {key.name: row for key, row in self.changed.items() if key.scope == scope}
        below = (row for row in super()._rows(scope, query) if row.name not in mine)
        over = [row for name in _between(sorted(mine), query) if (row := mine[name]) is not None]
        reverse = query.order is Order.NAME and query.descending
        yield from heapq.merge(below, over, key=lambda row: row.name, reverse=reverse)

    def _scopes(self) -> set[Scope]:
        return super()._scopes() | {key.scope for key in self.changed}

    def _stream(self, stream: str, after: int) -> list[Event]:
        mine = [event for event in self.appended if event.stream == stream and event.sequence > after]
        return super()._stream(stream, after) + mine


_LOOK = 256
"""How many rows are looked up at once, so that a page of a large scope costs a page."""

_ORDER: Mapping[Order, Callable[[_Row], Any]] = {
    Order.CREATED: lambda row: row.created,
    Order.MODIFIED: lambda row: row.modified,
    Order.STATUS: lambda row: row.status,
}


def _between(names: list[str], query: Query, *, at_most: int | None = None) -> list[str]:
    """The first sorted names within the query's bounds. Python orders text by code points, as UTF-8 orders its bytes."""
    first, end = bisect_left(names, max(query.name_from, query.name_prefix)), len(names)
    if query.order is Order.NAME and query.after is not None:
        if query.descending:
            end = bisect_left(names, query.after[1])
        else:
            first = max(first, bisect_right(names, query.after[1]))
    if query.name_prefix:
        width = len(query.name_prefix)
        end = bisect_right(
            names, query.name_prefix, lo=first, hi=max(first, end), key=lambda name: name[:width]
        )
    if query.order is Order.NAME and query.descending:
        first = max(first, end - at_most) if at_most is not None else first
        return names[first:end][::-1]
    return names[first : end if at_most is None else min(end, first + at_most)]


def _matches(row: _Row, query: Query) -> bool:
    return (
        (not query.name_contains or _ascii_lower(query.name_contains) in _ascii_lower(row.name))
        and (query.created_after is None or row.created > query.created_after)
        and (query.created_before is None or row.created < query.created_before)
        and (query.modified_after is None or row.modified > query.modified_after)
        and (query.modified_before is None or row.modified < query.modified_before)
        and (query.status is None or row.status == query.status)
        and (query.owner is None or row.owner == query.owner)
        and (query.active is None or row.active == query.active)
    )


def _is_after(place: tuple[Any, str], query: Query) -> bool:
    if query.after is None:
        return True
    return place < query.after if query.descending else place > query.after


def _ascii_lower(text: str) -> bytes:
    return text.encode().lower()


def _texts(key: Key) -> tuple[str, ...]:
    return (key.partition, key.account, key.region, key.service, key.type, key.name)


def _stored(scope: Scope, row: _Row) -> Stored:
    return Stored(
        scope.key(row.name),
        row.version,
        decode(row.data),
        row.created,
        row.modified,
        row.status,
        row.owner,
        row.active,
    )
