"""GetMetricStatistics."""

from __future__ import annotations

from typing import Any

from colonnade.cloud.cloudwatch.metric import combination, series_of, view
from colonnade.cloud.cloudwatch.periods import beginning, check_period, periods
from colonnade.cloud.cloudwatch.statistic import BASIC, statistic
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.timeseries import Point, Series

_MOST_POINTS = 1440


@operation("cloudwatch", "GetMetricStatistics")
def get_metric_statistics(call: Call) -> Result:
    given = call.parameters
    wanted = [*given.get("Statistics", ()), *given.get("ExtendedStatistics", ())]
    if not wanted:
        raise ServiceError(
            "MissingParameter",
            "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
        )
    period = given["Period"]
    check_period(period)
    start, end = beginning(given["StartTime"], call.now, period), given["EndTime"]
    if start >= end:
        raise combination("The parameter StartTime must be less than the parameter EndTime.")
    if (end - start) / period > _MOST_POINTS:
        raise combination(
            f"You have requested up to {int((end - start) / period):,} datapoints, which exceeds the limit of {_MOST_POINTS:,}. You "
            "may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )
    totals = all(statistic(name).totals for name in wanted)
    points = [
        _datapoint(point, series, wanted)
        for series in series_of(view(call), given, given.get("Unit", ""))
        for point in periods(view(call).storage, [series], start, end, period, totals=totals, aligned=False)
    ]
    return {"Label": given["MetricName"], "Datapoints": points}


def _datapoint(point: Point, series: Series, wanted: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"Timestamp": point.at, "Unit": series.unit}
    extended: dict[str, float] = {}
    for name in wanted:
        value = statistic(name).compute(point.values)
        if value is None:
            continue
        if name in BASIC:
            row[name] = value
        else:
            extended[name] = value
    return {**row, "ExtendedStatistics": extended} if extended else row
