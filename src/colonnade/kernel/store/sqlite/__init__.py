"""The embedded store: one SQLite file in WAL mode, used by every process of the server at once.

What `write()` acknowledges has been fsynced (`synchronous=FULL`). Readers take a connection from a pool and a snapshot,
and never wait. Writers take turns (`turns.py`) and share commits: a block that ends while others wait in this process
leaves the transaction open for them, and all return when the last one's commit has reached the disk.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colonnade.kernel.store.sqlite import format
from colonnade.kernel.store.sqlite.rows import Rows, WritableRows
from colonnade.kernel.store.sqlite.turns import Turns

__all__ = ["SqliteStore"]


class SqliteStore:
    """Thread-safe; may be shared across fork, where the child opens connections of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = False
        self._begin_life()
        with self._turns.alone():
            format.prepare(path)
        _stores.add(self)

    @contextmanager
    def read(self) -> Iterator[Rows]:
        connection = self._take()
        try:
            connection.execute("BEGIN")
            connection.execute(
                "SELECT 1 FROM scopes LIMIT 1"
            ).fetchone()  # The snapshot begins at the first look.
            yield Rows(connection, self._scopes)
        finally:
            self._give(connection)

    @contextmanager
    def write(self) -> Iterator[WritableRows]:
        if self._closed:
            raise self._is_closed()
        with self._turns.turn() as connection:
            rows = WritableRows(connection, self._scopes)
            yield rows
        self._scopes.update(rows.new_scopes)  # Only now certain: the commit is done.

    def close(self) -> None:
        """Lets go of the file; the last process to do so folds the log into it."""
        self._closed = True
        self._turns.close()
        while self._idle:
            self._idle.pop().close()

    def _begin_life(self) -> None:
        self._idle: list[sqlite3.Connection] = []
        self._turns = Turns(self.path)
        self._scopes: dict[tuple[str, ...], int] = {}

    def _take(self) -> sqlite3.Connection:
        if self._closed:
            raise self._is_closed()
        try:
            return self._idle.pop()
        except IndexError:
            return format.connect(self.path)

    def _give(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("COMMIT")
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _is_closed(self) -> RuntimeError:
        return RuntimeError(f"the store {self.path} has been closed")

    def _after_fork(self) -> None:
        """In the child. SQLite forbids even closing a connection that came through a fork: make them immortal."""
        for connection in (*self._idle, *self._turns.connections()):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._turns.let_go()
        self._begin_life()


_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store._after_fork()


os.register_at_fork(after_in_child=_after_fork)
