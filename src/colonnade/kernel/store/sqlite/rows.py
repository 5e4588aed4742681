"""Rows to documents and back: the SQL of the store, on a connection that is inside a transaction."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel.store import ALL, Conflict, Corrupt, Event, Key, Query, Scope, Stored
from colonnade.kernel.store.documents import decode, encode
from colonnade.kernel.store.sqlite.queries import select

_COLUMNS = "name, version, created, modified, status, owner, active, CAST(document AS BLOB), checksum"
_REMEDY = "It was changed by something other than Colonnade, or the disk failed. Restore a backup of the data folder."

ScopeIds = dict[tuple[str, ...], int]


class Rows:
    def __init__(self, connection: sqlite3.Connection, scopes: ScopeIds) -> None:
        self._connection = connection
        self._scopes = scopes
        """Ids that are known to be committed; shared by all users of the store."""

    def get(self, key: Key) -> Stored | None:
        number = self._scope(key.scope)
        if number is None:
            return None
        rows = self._fetch(
            f"SELECT {_COLUMNS} FROM documents WHERE scope = ? AND name = ?", (number, key.name), str(key)
        )
        return _stored(key.scope, rows[0]) if rows else None

    def scan(self, scope: Scope, query: Query = ALL) -> Sequence[Stored]:
        number = self._scope(scope)
        if number is None:
            return []
        sql, values = select(_COLUMNS, number, query)
        return [_stored(scope, row) for row in self._fetch(sql, values, str(scope))]

    def scan_types(self, service: str, type: str, *, active: bool | None = None) -> Sequence[Stored]:
        scopes = self._connection.execute(
            "SELECT partition, account, region FROM scopes WHERE service = ? AND type = ? ORDER BY 1, 2, 3",
            (service, type),
        ).fetchall()
        found: list[Stored] = []
        for partition, account, region in scopes:
            found += self.scan(Scope(partition, account, region, service, type), Query(active=active))
        return found

    def count(self, scope: Scope) -> int:
        number = self._scope(scope)
        if number is None:
            return 0
        count: int = self._fetch("SELECT count(*) FROM documents WHERE scope = ?", (number,), str(scope))[0][
            0
        ]
        return count

    def count_by_status(self, service: str, type: str) -> Mapping[str, int]:
        return dict(
            self._fetch(
                "SELECT status, count(*) FROM scopes CROSS JOIN documents INDEXED BY documents_by_status ON scope = id "
                "WHERE service = ? AND type = ? GROUP BY status ORDER BY status",
                (service, type),
                f"{service}/{type}",
            )
        )

    def content(self, id: int) -> bytes | None:
        rows = self._fetch(
            "SELECT CAST(content AS BLOB), checksum FROM contents WHERE id = ?", (id,), f"content {id}"
        )
        if not rows:
            return None
        data: bytes = rows[0][0]
        if zlib.crc32(data) != rows[0][1]:
            raise Corrupt(f"content {id} does not match its checksum. {_REMEDY}")
        return data

    def events(
        self, stream: str, *, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[Event]:
        rows = self._fetch(
            "SELECT sequence, subject, at, CAST(body AS BLOB), checksum FROM events WHERE stream = ? AND sequence > ?"
            f"{'' if subject is None else ' AND subject = ?'} ORDER BY sequence LIMIT ?",
            (stream, after, limit) if subject is None else (stream, after, subject, limit),
            f"stream {stream}",
        )
        return [_event(stream, row) for row in rows]

    def _scope(self, scope: Scope) -> int | None:
        texts = _texts(scope)
        number = self._scopes.get(texts)
        if number is None:
            number = self._find_scope(texts)
            if number is not None:
                self._remember(texts, number)
        return number

    def _find_scope(self, texts: tuple[str, ...]) -> int | None:
        row = self._connection.execute(
            "SELECT id FROM scopes WHERE partition = ? AND account = ? AND region = ? AND service = ? AND type = ?",
            texts,
        ).fetchone()
        return None if row is None else row[0]

    def _remember(self, texts: tuple[str, ...], number: int) -> None:
        self._scopes[texts] = number

    def _fetch(self, sql: str, values: Sequence[Any], subject: str) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            # SQLITE_CORRUPT, or text that is no UTF-8 (sqlite3 gives that one no code).
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_CORRUPT") or "decode" in str(error):
                raise Corrupt(f"{subject} cannot be read: {error}. {_REMEDY}") from error
            raise


class WritableRows(Rows):
    def __init__(self, connection: sqlite3.Connection, scopes: ScopeIds) -> None:
        super().__init__(connection, scopes)
        self.new_scopes: ScopeIds = {}
        """Found or made here; certain only when the commit is."""

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
        number = self._scope_to_write(key.scope)
        found = self._expected(number, key, expect)
        version, created = (found[0] + 1, found[1]) if found else (1, float(at))
        meta = (version, created, float(at), status, owner, bool(active))
        values = (*meta, data, _checksum(_texts(key.scope), key.name, meta, data), number, key.name)
        self._connection.execute(_UPDATE if found else _INSERT, values)
        return Stored(key, version, decode(data), created, float(at), status, owner, bool(active))

    def delete(self, key: Key, *, expect: int | None = None) -> bool:
        number = self._scope(key.scope)
        found = None if number is None else self._expected(number, key, expect)
        if found is None:
            if expect:
                raise Conflict(key, expect, 0)
            return False
        self._connection.execute("DELETE FROM documents WHERE scope = ? AND name = ?", (number, key.name))
        return True

    def add_content(self, data: bytes) -> int:
        values = (data, zlib.crc32(data))
        id = self._connection.execute(
            "INSERT INTO contents (content, checksum) VALUES (?, ?)", values
        ).lastrowid
        assert id is not None
        return id

    def remove_content(self, id: int) -> None:
        self._connection.execute("DELETE FROM contents WHERE id = ?", (id,))

    def append(self, event: Event) -> None:
        body = encode(event.body)
        last = self._connection.execute(
            "SELECT coalesce(max(sequence), 0) FROM events WHERE stream = ?", (event.stream,)
        ).fetchone()[0]
        meta = (last + 1, event.subject, float(event.at))
        checksum = _checksum(("event",), event.stream, meta, body)
        self._connection.execute(
            "INSERT INTO events (stream, sequence, subject, at, body, checksum) VALUES (?, ?, ?, ?, CAST(? AS TEXT), ?)",
            (event.stream, *meta, body, checksum),
        )

    def _expected(self, scope: int, key: Key, expect: int | None) -> tuple[int, float] | None:
        found: tuple[int, float] | None = self._connection.execute(
            "SELECT version, created FROM documents WHERE scope = ? AND name = ?", (scope, key.name)
        ).fetchone()
        version = found[0] if found else 0
        if expect is not None and expect != version:
            raise Conflict(key, expect, version)
        return found

    def _scope_to_write(self, scope: Scope) -> int:
        number = self._scope(scope)
        if number is None:
            texts = _texts(scope)
            cursor = self._connection.execute(
                "INSERT INTO scopes (partition, account, region, service, type) VALUES (?, ?, ?, ?, ?)", texts
            )
            number = cursor.lastrowid
            assert number is not None
            self._remember(texts, number)
        return number

    def _find_scope(self, texts: tuple[str, ...]) -> int | None:
        return self.new_scopes.get(texts) or super()._find_scope(texts)

    def _remember(self, texts: tuple[str, ...], number: int) -> None:
        self.new_scopes[texts] = number


_UPDATE = (
    "UPDATE documents SET version = ?, created = ?, modified = ?, status = ?, owner = ?, active = ?, "
    "document = CAST(? AS TEXT), checksum = ? WHERE scope = ? AND name = ?"
)
_INSERT = (
    "INSERT INTO documents (version, created, modified, status, owner, active, document, checksum, scope, name) "
    "VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?, ?)"
)


def _texts(scope: Scope) -> tuple[str, ...]:
    return (scope.partition, scope.account, scope.region, scope.service, scope.type)


def _stored(scope: Scope, row: Sequence[Any]) -> Stored:
    name, version, created, modified, status, owner, active, data, checksum = row
    meta = (version, created, modified, status, owner, bool(active))
    key = scope.key(name)
    if _checksum(_texts(scope), name, meta, data) != checksum:
        raise Corrupt(f"{key}, version {version}, does not match its checksum. {_REMEDY}")
    return Stored(key, version, decode(data), created, modified, status, owner, bool(active))


def _event(stream: str, row: Sequence[Any]) -> Event:
    sequence, subject, at, body, checksum = row
    if _checksum(("event",), stream, (sequence, subject, at), body) != checksum:
        raise Corrupt(f"event {sequence} of stream {stream} does not match its checksum. {_REMEDY}")
    return Event(stream, subject, at, decode(body), sequence)


def _checksum(scope: tuple[str, ...], name: str, meta: tuple[Any, ...], data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(repr((scope, name, meta)).encode()))
