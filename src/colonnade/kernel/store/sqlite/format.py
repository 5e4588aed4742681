"""What the file looks like, and how an older one is brought forward.

`PRAGMA user_version` carries the format's number. Raising `FORMAT` takes a function in `MIGRATIONS` from the number
before; `prepare` runs those in one transaction after copying the file aside. A file with a higher number is refused.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from colonnade.kernel.store import Corrupt, WrongFormat

FORMAT = 3
APPLICATION = 0x436F6C6F  # "Colo", so that `file` and we can tell our files from others.

Migration = Callable[[sqlite3.Connection], object]

# Pieces of bytes that belong to documents, beside them: scans read documents. Never the same number twice, since readers may
# look for one that is gone.
_CONTENTS = """
CREATE TABLE contents (id INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL, checksum INTEGER NOT NULL);
"""

# Each holds whatever lists filter by, so that a filter need not read the documents that it drops.
_BY_ORDER = {
    "documents_by_created": "scope, created, name, modified, status",
    "documents_by_modified": "scope, modified, name, created, status",
    "documents_by_status": "scope, status, name, created, modified",
}
_INDEXES = "".join(f"CREATE INDEX {name} ON documents ({columns});\n" for name, columns in _BY_ORDER.items())


def _widen_indexes(connection: sqlite3.Connection) -> None:
    for name, columns in _BY_ORDER.items():
        connection.execute(f"DROP INDEX {name}")
        connection.execute(f"CREATE INDEX {name} ON documents ({columns})")


MIGRATIONS: Mapping[int, Migration] = {
    1: lambda connection: connection.execute(_CONTENTS),
    2: _widen_indexes,
}
"""By the number it starts from. Executes statements inside the transaction it is given; never commits."""

# Scopes are interned, so that a row and each of its index entries carry a small number and not five texts.
# Document and body are JSON text. `checksum` covers every other column and the texts of the scope.
_TABLES = f"""
CREATE TABLE scopes (
    id INTEGER PRIMARY KEY,
    partition TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, service TEXT NOT NULL, type TEXT NOT NULL,
    UNIQUE (service, type, partition, account, region)
);
CREATE TABLE documents (
    scope INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, created REAL NOT NULL, modified REAL NOT NULL,
    status TEXT NOT NULL, owner TEXT NOT NULL, active INTEGER NOT NULL, document TEXT NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID;
{_INDEXES}CREATE INDEX documents_by_owner ON documents (scope, owner, name) WHERE owner <> '';
CREATE INDEX documents_active ON documents (scope, name) WHERE active = 1;
CREATE TABLE events (
    stream TEXT NOT NULL, sequence INTEGER NOT NULL, subject TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (stream, sequence)
) WITHOUT ROWID;
CREATE INDEX events_by_subject ON events (stream, subject, sequence);
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection for one user at a time, on any thread. Transactions are begun by hand."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30.0)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -8192")
    return connection


def prepare(path: Path) -> None:
    """Make the file, or bring it forward. The caller keeps other processes away meanwhile."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # Before SQLite would make it readable for others.
    try:
        with closing(connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > FORMAT:
                raise WrongFormat(
                    f"{path} has format {found}, and this release of Colonnade knows up to {FORMAT}: a newer release "
                    "wrote it. Start that release, or restore a backup of the data folder made by this one."
                )
            if found == 0:
                _create(connection, path)
            elif found < FORMAT:
                _migrate(connection, path, found)
    except sqlite3.DatabaseError as error:
        raise Corrupt(f"{path} cannot be opened: {error}. Restore a backup of the data folder.") from error
    sync_folder(path.parent)


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise WrongFormat(
            f"{path} is an SQLite file, but not one of Colonnade's. Choose another data folder."
        )
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES} {_CONTENTS} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def _migrate(connection: sqlite3.Connection, path: Path, found: int) -> None:
    copy_whole(connection, path.with_name(f"{path.name}.format-{found}"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(found, FORMAT):
            MIGRATIONS[number](connection)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def copy_whole(connection: sqlite3.Connection, target: Path) -> None:
    """What the connection's transaction sees, or what there is now, as a file of its own: on the disk, for its owner only."""
    os.close(os.open(target, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600))
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # One file, whole without a log beside it.
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
