"""PutMetricData: single values, values with counts, and statistic sets."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from colonnade.cloud.cloudwatch.metric import combination, dimensions_of, invalid, view
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, operation
from colonnade.statistics.sketch import Sketch
from colonnade.timeseries import Datum, Series

_MOST_METRICS, _MOST_VALUES = 1000, 150
_LARGEST = 2.0**360
_OLDEST, _LATEST = 14 * 86_400, 2 * 3600


@operation("cloudwatch", "PutMetricData")
def put_metric_data(call: Call) -> None:
    given = call.parameters
    if given.get("EntityMetricData"):
        raise ServiceError(
            "NotImplementedException",
            "Colonnade does not implement EntityMetricData yet: give MetricData.",
            status=501,
        )
    if given["Namespace"].startswith("AWS/"):
        raise invalid(
            f"The value {given['Namespace']} for parameter Namespace is invalid: names that begin with AWS/ are the platform's."
        )
    metrics = given.get("MetricData", ())
    if not metrics:
        raise ServiceError("MissingParameter", "The parameter MetricData is required.")
    if len(metrics) > _MOST_METRICS:
        raise invalid(f"MetricData has {len(metrics)} members; at most {_MOST_METRICS} may be put at once.")
    view(call).storage.put([_datum(call, number, metric) for number, metric in enumerate(metrics, 1)])


def _datum(call: Call, number: int, metric: Mapping[str, Any]) -> Datum:
    place = f"MetricData.member.{number}"
    at = metric.get("Timestamp", call.now)
    if not call.now - _OLDEST <= at <= call.now + _LATEST:
        raise invalid(
            f"The parameter {place}.Timestamp must specify a time no more than two weeks in the past and no more than two hours "
            "in the future."
        )
    resolution = metric.get("StorageResolution", 60)
    if resolution not in (1, 60):
        raise invalid(
            f"The value {resolution} for parameter {place}.StorageResolution is invalid: give 1 or 60."
        )
    series = Series(
        call.account,
        call.region,
        call.parameters["Namespace"],
        metric["MetricName"],
        dimensions_of(metric),
        metric.get("Unit", "None"),
    )
    return Datum(series, at, _values(place, metric), resolution)


def _values(place: str, metric: Mapping[str, Any]) -> Sketch:
    """Exactly one of the three ways must be taken."""
    ways = [way for way in ("Value", "StatisticValues", "Values") if way in metric]
    if not ways:
        raise ServiceError("MissingParameter", f"The parameter {place}.Value is required.")
    if len(ways) > 1:
        raise combination(
            f"The parameters {place}.{ways[0]} and {place}.{ways[1]} are mutually exclusive and you have specified both."
        )
    sketch = Sketch()
    if ways == ["StatisticValues"]:
        _add_set(sketch, place, metric["StatisticValues"])
        return sketch
    values = [metric["Value"]] if ways == ["Value"] else metric["Values"]
    counts = metric.get("Counts", [1.0] * len(values))
    if len(counts) != len(values):
        raise invalid(f"{place} gives {len(values)} Values and {len(counts)} Counts: give as many of each.")
    if not 1 <= len(values) <= _MOST_VALUES:
        raise invalid(f"{place}.Values has {len(values)} members; 1 to {_MOST_VALUES} may be given.")
    for value, count in zip(values, counts, strict=True):
        _check(f"{place}.Value", value)
        if not count > 0 or not isfinite(count):
            raise invalid(f"The value {count} for parameter {place}.Counts is invalid: counts are above 0.")
        sketch.add(value, count)
    return sketch


def _add_set(sketch: Sketch, place: str, given: Mapping[str, float]) -> None:
    for name in ("SampleCount", "Sum", "Minimum", "Maximum"):
        _check(f"{place}.StatisticValues.{name}", given[name])
    if given["SampleCount"] <= 0 or given["Minimum"] > given["Maximum"]:
        raise invalid(
            f"{place}.StatisticValues is no summary: SampleCount must be above 0, Minimum at most Maximum."
        )
    sketch.add_summary(given["SampleCount"], given["Sum"], given["Minimum"], given["Maximum"])


def _check(place: str, value: float) -> None:
    if not isfinite(value) or abs(value) > _LARGEST:
        raise invalid(f"The value {value} for parameter {place} is invalid.")
