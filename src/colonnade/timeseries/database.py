"""The database file of metrics. Every process of the server opens it; one of them (the leader) packs and forgets.

Writing adds to what is there for the same minute, whoever wrote it, so workers need not know of each other. A write survives
kill -9; a power cut may cost the last moments, as losing a minute of metrics does not lose anybody's work.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path

from colonnade.statistics.sketch import pack, unpack
from colonnade.timeseries import Datum, Dimensions, Point, Series
from colonnade.timeseries.blocks import packed, unpacked

DAY = 86_400
_AGES = ((15 * DAY, 60), (63 * DAY, 300), (455 * DAY, 3600))
"""Points are kept up to this age, in this resolution (CloudWatch, "Metrics retention")."""
_FINE_SECONDS = 3 * 3600
"""How long points of less than a minute stay apart."""
_PACKED_AFTER = 2 * 3600
"""Seconds after a day's end: values may be a little late without costing a block its packing."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, account TEXT, region TEXT, namespace TEXT, name TEXT, dimensions TEXT, unit TEXT, latest REAL,
    UNIQUE (account, region, namespace, name, dimensions, unit));
CREATE TABLE IF NOT EXISTS points (series INTEGER, at INTEGER, "values" BLOB, PRIMARY KEY (series, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (
    series INTEGER, day INTEGER, resolution INTEGER, points BLOB, PRIMARY KEY (series, day)) WITHOUT ROWID;
"""


class Timeseries:
    """Raises sqlite3.Error when the disk refuses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._ids: dict[Series, int] = {}

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        """Opened at the first use, under the lock: a server whose metrics nobody writes or reads has no such file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        return connection

    def close(self) -> None:
        with self._lock:
            if "_connection" in self.__dict__:
                self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                self._ids.clear()
                raise
            self._connection.execute("COMMIT")

    # Writing

    def put(self, data: Iterable[Datum]) -> None:
        """All of it, or nothing when it raises."""
        with self._transaction() as connection:
            for datum in data:
                at = int(datum.at // datum.resolution * datum.resolution)
                key = (self._id(connection, datum.series, at), at)
                row = connection.execute(
                    'SELECT "values" FROM points WHERE series = ? AND at = ?', key
                ).fetchone()
                values = datum.values
                if row is not None:
                    values = unpack(row[0])
                    values.merge(datum.values)
                connection.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?)", (*key, pack(values)))

    def _id(self, connection: sqlite3.Connection, series: Series, at: int) -> int:
        columns = (*series[:4], json.dumps(series.dimensions), series.unit)
        known = self._ids.get(series)
        if known is None:
            connection.execute(
                "INSERT OR IGNORE INTO series (account, region, namespace, name, dimensions, unit, latest) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*columns, at),
            )
            row = connection.execute(
                "SELECT id FROM series WHERE account = ? AND region = ? AND namespace = ? AND name = ? "
                "AND dimensions = ? AND unit = ?",
                columns,
            ).fetchone()
            known = self._ids[series] = int(row[0])
        changed = connection.execute("UPDATE series SET latest = max(latest, ?) WHERE id = ?", (at, known))
        if not changed.rowcount:  # forgotten meanwhile by the process that packs
            del self._ids[series]
            return self._id(connection, series, at)
        return known

    # Reading

    def find(
        self,
        account: str,
        region: str,
        *,
        namespace: str = "",
        name: str = "",
        dimensions: Dimensions | None = None,
        having: Mapping[str, str | None] | None = None,
        since: float = 0.0,
    ) -> list[Series]:
        """Series with these very `dimensions`, or with those of `having` among theirs (None is any value), in order, that have a
        value at or after `since`."""
        where, given = ["account = ?", "region = ?", "latest >= ?"], [account, region, since]
        for column, value in (("namespace", namespace), ("name", name)):
            if value:
                where.append(f"{column} = ?")
                given.append(value)
        if dimensions is not None:
            where.append("dimensions = ?")
            given.append(json.dumps(dimensions))
        query = f"SELECT namespace, name, dimensions, unit FROM series WHERE {' AND '.join(where)} ORDER BY 1, 2, 3, 4"
        with self._lock:
            rows = self._connection.execute(query, given).fetchall()
        found = [
            Series(account, region, row[0], row[1], tuple((n, v) for n, v in json.loads(row[2])), row[3])
            for row in rows
        ]
        return [series for series in found if _has(series.dimensions, having or {})]

    def read(self, series: Series, start: float, end: float, *, totals: bool = False) -> list[Point]:
        """The points that begin from `start` up to before `end`, in order. With `totals` without what quantiles need."""
        columns = (*series[:4], json.dumps(series.dimensions), series.unit)
        with self._lock:
            blocks = self._connection.execute(
                "SELECT day, points FROM blocks WHERE day > ? AND day < ? AND series = (SELECT id FROM series WHERE "
                "account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = ? AND unit = ?) ORDER BY day",
                (start - DAY, end, *columns),
            ).fetchall()
            rows = self._connection.execute(
                'SELECT at, "values" FROM points WHERE at >= ? AND at < ? AND series = (SELECT id FROM series WHERE '
                "account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = ? AND unit = ?) ORDER BY at",
                (start, end, *columns),
            ).fetchall()
        old = [
            point
            for day, data in blocks
            for point in unpacked(data, day, totals=totals)
            if start <= point.at < end
        ]
        new = [Point(at, unpack(data, totals=totals)) for at, data in rows]
        return sorted(old + new, key=lambda point: point.at) if old and new else old or new

    # Growing old

    def pack(self, now: float) -> None:
        """Merge what is old enough, pack what is complete, and forget what is too old."""
        oldest = now - _AGES[-1][0]
        for (series,) in self._rows("SELECT id FROM series"):
            self._pack_points(series, now)
            self._coarsen(series, now)
        with self._transaction() as connection:
            connection.execute("DELETE FROM blocks WHERE day < ?", (oldest - DAY,))
            connection.execute("DELETE FROM points WHERE at < ?", (oldest,))
            connection.execute("DELETE FROM series WHERE latest < ?", (oldest - DAY,))
            self._ids.clear()

    def _rows(self, query: str, given: Sequence[float] = ()) -> list[tuple[int, ...]]:
        with self._lock:
            return self._connection.execute(query, given).fetchall()

    def _pack_points(self, series: int, now: float) -> None:
        """One series a transaction: packing never holds up those who write for long."""
        with self._transaction() as connection:
            rows = connection.execute(
                'SELECT at, "values" FROM points WHERE series = ? AND at < ? ORDER BY at',
                (series, now - _FINE_SECONDS),
            ).fetchall()
            points = [Point(at, unpack(data)) for at, data in rows]
            if all(point.at % 60 == 0 for point in points) and not any(_is_over(p.at, now) for p in points):
                return
            connection.execute(
                "DELETE FROM points WHERE series = ? AND at < ?", (series, now - _FINE_SECONDS)
            )
            for point in merged(points, 60):
                if not _is_over(point.at, now):
                    connection.execute(
                        "INSERT INTO points VALUES (?, ?, ?)", (series, point.at, pack(point.values))
                    )
            over = [point for point in merged(points, 60) if _is_over(point.at, now)]
            for day, group in groupby(over, key=lambda point: int(point.at // DAY * DAY)):
                self._add_to_block(connection, series, day, list(group))

    def _add_to_block(
        self, connection: sqlite3.Connection, series: int, day: int, points: list[Point]
    ) -> None:
        row = connection.execute(
            "SELECT resolution, points FROM blocks WHERE series = ? AND day = ?", (series, day)
        ).fetchone()
        resolution = 60 if row is None else row[0]
        known = [] if row is None else list(unpacked(row[1], day))
        together = merged(sorted(known + points, key=lambda point: point.at), resolution)
        connection.execute(
            "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?)",
            (series, day, resolution, packed(together, day)),
        )

    def _coarsen(self, series: int, now: float) -> None:
        for (age, _), (_, resolution) in pairwise(_AGES):
            old = self._rows(
                "SELECT day FROM blocks WHERE series = ? AND day < ? AND resolution < ?",
                (series, now - age - DAY, resolution),
            )
            for (day,) in old:
                with self._transaction() as connection:
                    (data,) = connection.execute(
                        "SELECT points FROM blocks WHERE series = ? AND day = ?", (series, day)
                    ).fetchone()
                    points = merged(unpacked(data, day), resolution)
                    connection.execute(
                        "UPDATE blocks SET resolution = ?, points = ? WHERE series = ? AND day = ?",
                        (resolution, packed(points, day), series, day),
                    )

    def clear(self) -> None:
        with self._transaction() as connection:
            for table in ("series", "points", "blocks"):
                connection.execute(f"DELETE FROM {table}")
            self._ids.clear()


def merged(points: Iterable[Point], seconds: float, origin: float = 0.0) -> list[Point]:
    """Points in order, as ones of so many seconds, the first of which could begin at `origin`."""
    found: list[Point] = []
    for point in points:
        at = origin + (point.at - origin) // seconds * seconds
        if found and found[-1].at == at:
            found[-1].values.merge(point.values)
        else:
            found.append(Point(at, point.values))
    return found


def _is_over(at: float, now: float) -> bool:
    """Whether the day is, so long that few values will still come."""
    return at // DAY * DAY + DAY + _PACKED_AFTER <= now


def _has(dimensions: Dimensions, wanted: Mapping[str, str | None]) -> bool:
    own = dict(dimensions)
    return all(name in own and value in (None, own[name]) for name, value in wanted.items())
