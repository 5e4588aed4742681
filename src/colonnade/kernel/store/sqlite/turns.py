"""Whose turn it is to write: one block at a time, among all threads of all processes, in a shared commit.

Two advisory locks order the processes: whoever wants `write` first takes `next`, and keeps it until `write` is his. So a
busy process that has just let `write` go cannot snatch it back from one that waits (SQLite's own busy handler polls, and
starves the unlucky). The kernel frees both when a process dies.

Within a process, threads queue at a lock. A block that ends while others queue releases its savepoint and leaves the
commit to a later one: a hundred callers then share one fsync. It returns only after that commit.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colonnade.kernel.store.sqlite import format

_MOST_IN_A_COMMIT = 64
"""So that other processes get their turn soon."""


class _Commit:
    """The transaction that several blocks share."""

    def __init__(self) -> None:
        self.blocks = 0
        self.done = threading.Event()
        self.error: BaseException | None = None


class Turns:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue = threading.Lock()
        self._waiting = 0
        self._counting = threading.Lock()
        self._inside: int | None = None
        self._commit: _Commit | None = None
        self._connection: sqlite3.Connection | None = None
        self._log_has_durable_name = False
        self._next = _open_lock(path.with_name(f"{path.name}.next"))
        self._write = _open_lock(path.with_name(f"{path.name}.write"))

    @contextmanager
    def turn(self) -> Iterator[sqlite3.Connection]:
        """The connection, in a transaction; on return what the block did is durable, or it raised and did nothing."""
        if self._inside == threading.get_ident():
            raise RuntimeError("a transaction inside a transaction of the same thread would wait for itself")
        self._enter()
        try:
            commit = self._commit or self._begin()
            connection = self._connection
            assert connection is not None
            shares = commit.blocks > 0
            if shares:
                connection.execute("SAVEPOINT block")
            try:
                yield connection
            except BaseException:
                self._undo(commit, connection, shares)
                raise
            if shares:
                connection.execute("RELEASE block")
            commit.blocks += 1
        finally:
            self._leave()
        self._await(commit)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other writer away, without a transaction of our own."""
        self._enter()
        try:
            self._lock_processes()
            try:
                yield
            finally:
                fcntl.flock(self._write, fcntl.LOCK_UN)
        finally:
            self._inside = None
            self._queue.release()

    def connections(self) -> list[sqlite3.Connection]:
        return [self._connection] if self._connection is not None else []

    def close(self) -> None:
        with self._queue:
            if self._commit is not None:
                self._finish(self._commit)
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self.let_go()

    def let_go(self) -> None:
        """Close the lock files. A forked child must: its copies would keep a lock held after its parent has died."""
        os.close(self._next)
        os.close(self._write)

    def _enter(self) -> None:
        with self._counting:
            self._waiting += 1
        try:
            self._queue.acquire()
        finally:
            with self._counting:
                self._waiting -= 1
        self._inside = threading.get_ident()

    def _leave(self) -> None:
        """Commit, unless somebody queues who can do so as well."""
        try:
            commit = self._commit
            if commit is not None and (self._waiting == 0 or commit.blocks >= _MOST_IN_A_COMMIT):
                self._finish(commit)
        finally:
            self._inside = None
            self._queue.release()

    def _undo(self, commit: _Commit, connection: sqlite3.Connection, shares: bool) -> None:
        if not shares:
            self._finish(commit, "ROLLBACK")
        elif connection.in_transaction:
            connection.execute("ROLLBACK TO block")
            connection.execute("RELEASE block")
        else:  # A full disk makes SQLite give up the whole transaction: those who share it must hear of it.
            self._finish(commit)

    def _await(self, commit: _Commit) -> None:
        while not commit.done.wait(0.1):
            # Whoever queued may have been interrupted before his turn: then the commit is ours after all.
            if self._queue.acquire(blocking=False):
                try:
                    if self._commit is commit:
                        self._finish(commit)
                finally:
                    self._queue.release()
        if commit.error is not None:
            raise RuntimeError(f"{self._path}: the commit failed, nothing was written") from commit.error

    def _begin(self) -> _Commit:
        if self._connection is None:
            self._connection = format.connect(self._path)
        self._lock_processes()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._make_name_of_log_durable(self._connection)
        except BaseException:
            fcntl.flock(self._write, fcntl.LOCK_UN)
            raise
        self._commit = _Commit()
        return self._commit

    def _make_name_of_log_durable(self, connection: sqlite3.Connection) -> None:
        """SQLite sees to this only in the process that made the log, which need not be the first to commit."""
        if self._log_has_durable_name:
            return
        try:
            format.sync_folder(self._path.parent)
        except OSError:
            connection.execute("ROLLBACK")
            raise
        self._log_has_durable_name = True

    def _finish(self, commit: _Commit, how: str = "COMMIT") -> None:
        assert self._connection is not None
        try:
            self._connection.execute(how)
        except sqlite3.Error as error:
            commit.error = error
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        finally:
            self._commit = None
            fcntl.flock(self._write, fcntl.LOCK_UN)
            commit.done.set()

    def _lock_processes(self) -> None:
        fcntl.flock(self._next, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._write, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
