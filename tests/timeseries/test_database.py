"""Metrics over time: what is written together, found by name, and kept as it grows old."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.statistics.sketch import Sketch
from colonnade.timeseries import Datum, Point, Series
from colonnade.timeseries.database import DAY, Timeseries, merged

BLUE = Series(
    "1", "us-east-1", "AWS/SageMaker", "Invocations", (("EndpointName", "e"), ("VariantName", "blue"))
)
GREEN = BLUE._replace(dimensions=(("EndpointName", "e"), ("VariantName", "green")))
START = 20_000 * DAY


def of(*values: float) -> Sketch:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Timeseries]:
    made = Timeseries(tmp_path / "metrics.db")
    yield made
    made.close()


def sums(points: list[Point]) -> list[tuple[float, float]]:
    return [(point.at, point.values.sum) for point in points]


def test_values_of_a_minute_are_one_point_whoever_wrote_them(tmp_path: Path, database: Timeseries) -> None:
    other = Timeseries(tmp_path / "metrics.db")
    database.put([Datum(BLUE, START + 5, of(1, 2))])
    other.put([Datum(BLUE, START + 59, of(3)), Datum(BLUE, START + 60, of(4)), Datum(GREEN, START, of(9))])
    other.close()

    points = database.read(BLUE, START, START + 120)

    assert sums(points) == [(START, 6), (START + 60, 4)]
    assert (points[0].values.count, points[0].values.quantile(1.0)) == (3, 3)
    assert sums(database.read(BLUE, START + 60, START + 120)) == [(START + 60, 4)]
    assert sums(database.read(BLUE, START, START + 60, totals=True)) == [(START, 6)]
    assert database.read(BLUE._replace(name="Nothing"), 0, START * 2) == []


def test_series_are_found_by_what_they_have(database: Timeseries) -> None:
    plain = Series("1", "us-east-1", "Mine", "Things")
    database.put([Datum(series, START, of(1)) for series in (GREEN, BLUE, plain)])

    def found(**wanted: object) -> list[Series]:
        return database.find("1", "us-east-1", **wanted)  # type: ignore[arg-type]

    assert found() == [BLUE, GREEN, plain]
    assert found(namespace="Mine", name="Things", dimensions=()) == [plain]
    assert found(having={"VariantName": "green"}) == [GREEN]
    assert found(having={"EndpointName": None}) == [BLUE, GREEN]
    assert found(since=START + 1) == []
    assert database.find("2", "us-east-1") == []


def test_seconds_stay_apart_for_three_hours_and_become_minutes(database: Timeseries) -> None:
    database.put([Datum(BLUE, START + second, of(1), 1) for second in (0, 1, 30, 61)])
    now = START + 3 * 3600 + 62
    assert len(database.read(BLUE, START, START + 120)) == 4

    database.pack(now)

    assert sums(database.read(BLUE, START, START + 120)) == [(START, 3), (START + 60, 1)]


@pytest.mark.parametrize(
    ("age", "resolution"), [(0, 60), (2, 60), (14, 60), (17, 300), (62, 300), (65, 3600), (454, 3600)]
)
def test_points_grow_coarser_with_age_and_none_of_their_values_is_lost(
    database: Timeseries, age: int, resolution: int
) -> None:
    minutes = [START + 60 * minute for minute in range(24 * 60)]
    database.put([Datum(BLUE, at, of(at % 7, 5)) for at in minutes])
    for day in sorted({1, 16, 40, 64, age + 1}):
        if day <= age + 1:
            database.pack(START + day * DAY + 3 * 3600 if day <= age else START + day * DAY - 1)

    points = database.read(BLUE, START, START + DAY)

    assert [point.at for point in points] == [START + resolution * n for n in range(DAY // resolution)]
    assert sum(point.values.sum for point in points) == sum(at % 7 + 5 for at in minutes)
    assert sum(point.values.count for point in points) == 2 * len(minutes)
    assert points[0].values.quantile(1.0) == pytest.approx(6, rel=0.01)


def test_what_is_too_old_is_forgotten_and_its_series_too(database: Timeseries) -> None:
    database.put([Datum(BLUE, START, of(1)), Datum(GREEN, START + 400 * DAY, of(1))])
    database.pack(START + 2 * DAY)

    database.pack(START + 460 * DAY)
    database.put([Datum(BLUE, START + 460 * DAY, of(2))])

    assert database.read(BLUE, START, START + DAY) == []
    assert database.find("1", "us-east-1") == [BLUE, GREEN]


def test_late_values_join_the_day_that_was_packed(database: Timeseries) -> None:
    database.put([Datum(BLUE, START, of(1)), Datum(BLUE, START + 600, of(1))])
    database.pack(START + 20 * DAY)

    database.put([Datum(BLUE, START + 60, of(5))])
    before = sums(database.read(BLUE, START, START + DAY))
    database.pack(START + 20 * DAY)

    assert before == [(START, 1), (START + 60, 5), (START + 600, 1)]
    assert sums(database.read(BLUE, START, START + DAY)) == [(START, 6), (START + 600, 1)]


def test_periods_may_begin_anywhere() -> None:
    points = [Point(60 * minute, of(minute)) for minute in range(6)]

    assert sums(merged(points, 180, origin=60)) == [(-120, 0), (60, 6), (240, 9)]


KILLED = """
import os, signal, sys
from pathlib import Path
from colonnade.statistics.sketch import Sketch
from colonnade.timeseries import Datum, Series
from colonnade.timeseries.database import Timeseries
database, values = Timeseries(Path(sys.argv[1])), Sketch()
values.add(7)
database.put([Datum(Series("1", "r", "n", "m"), 60.0, values)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_put_survives_kill_9(tmp_path: Path, database: Timeseries) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "metrics.db")], check=False, timeout=60)

    assert sums(database.read(Series("1", "r", "n", "m"), 0, 120)) == [(60, 7)]
