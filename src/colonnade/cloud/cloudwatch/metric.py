"""What a call names: a metric and its dimensions, as series in the storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.timeseries import Dimensions, Series
from colonnade.timeseries.database import Timeseries


def storage(call: Call) -> Timeseries:
    return call.platform.the(Timeseries)


def dimensions_of(metric: Mapping[str, Any]) -> Dimensions:
    """Raises InvalidParameterValue for a name given twice."""
    given = [(each["Name"], each["Value"]) for each in metric.get("Dimensions", ())]
    if len({name for name, _ in given}) != len(given):
        twice = next(name for name, _ in given if [each for each, _ in given].count(name) > 1)
        raise invalid(f"The dimension {twice} is given twice: a metric has each dimension once.")
    return tuple(sorted(given))


def series_of(call: Call, metric: Mapping[str, Any], unit: str = "") -> list[Series]:
    """The series of a metric, one for each unit that it was put in; only of `unit`, where that is given."""
    found = storage(call).find(
        call.account,
        call.region,
        namespace=metric["Namespace"],
        name=metric["MetricName"],
        dimensions=dimensions_of(metric),
    )
    return [series for series in found if unit in ("", series.unit)]


def invalid(text: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", text)


def combination(text: str) -> ServiceError:
    return ServiceError("InvalidParameterCombination", text)
