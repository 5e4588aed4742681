"""Points as the periods that a query asks for."""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.cloud.cloudwatch.metric import invalid
from colonnade.statistics.sketch import Sketch
from colonnade.timeseries import Point, Series
from colonnade.timeseries.database import Timeseries, merged

_SHORT = (1, 5, 10, 20, 30)
_DAY = 86_400


def check_period(period: int) -> None:
    """Raises InvalidParameterValue."""
    if period not in _SHORT and period % 60:
        raise invalid(
            f"The value {period} for parameter Period is invalid: give 1, 5, 10, 20, 30 or a multiple of 60 seconds."
        )


def beginning(start: float, now: float, period: int) -> float:
    """A query's start, rounded down as CloudWatch does: the further back, the coarser."""
    age = now - start
    step = 3600 if age > 63 * _DAY else 300 if age > 15 * _DAY else period if period in _SHORT else 60
    return start // step * step


def periods(
    storage: Timeseries,
    series: Sequence[Series],
    start: float,
    end: float,
    period: int,
    *,
    totals: bool,
    aligned: bool,
) -> list[Point]:
    """One point for each period that has values, the first beginning at `start`, or, `aligned`, at multiples of the period."""
    points = [point for each in series for point in storage.read(each, start, end, totals=totals)]
    if len(series) > 1:
        points.sort(key=lambda point: point.at)
    return merged(points, period, origin=0.0 if aligned else start)


def together(points: Sequence[Point]) -> Sketch:
    whole = Sketch()
    for point in points:
        whole.merge(point.values)
    return whole
