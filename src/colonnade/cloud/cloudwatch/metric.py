"""What a call names: a metric and its dimensions, as series in the storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.timeseries import Dimensions, Series
from colonnade.timeseries.database import Timeseries


@dataclass(frozen=True, slots=True)
class View:
    """Whose metrics are looked at, and when: by a call, or by an alarm."""

    storage: Timeseries
    account: str
    region: str
    now: float


def view(call: Call) -> View:
    return View(call.platform.the(Timeseries), call.account, call.region, call.now)


def dimensions_of(metric: Mapping[str, Any]) -> Dimensions:
    """Raises InvalidParameterValue for a name given twice."""
    given = [(each["Name"], each["Value"]) for each in metric.get("Dimensions", ())]
    if len({name for name, _ in given}) != len(given):
        twice = next(name for name, _ in given if [each for each, _ in given].count(name) > 1)
        raise invalid(f"The dimension {twice} is given twice: a metric has each dimension once.")
    return tuple(sorted(given))


def series_of(view: View, metric: Mapping[str, Any], unit: str = "") -> list[Series]:
    """The series of a metric, one for each unit that it was put in; only of `unit`, where that is given."""
    found = view.storage.find(
        view.account,
        view.region,
        namespace=metric["Namespace"],
        name=metric["MetricName"],
        dimensions=dimensions_of(metric),
    )
    return [series for series in found if unit in ("", series.unit)]


def invalid(text: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", text)


def combination(text: str) -> ServiceError:
    return ServiceError("InvalidParameterCombination", text)
