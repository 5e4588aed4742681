"""What the queries of GetMetricData, and of alarms, find: metrics from the storage, and expressions over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from colonnade.cloud.cloudwatch.math import ExpressionError, Line, Value
from colonnade.cloud.cloudwatch.math.evaluation import evaluate
from colonnade.cloud.cloudwatch.math.functions import Scope
from colonnade.cloud.cloudwatch.math.parser import parse
from colonnade.cloud.cloudwatch.metric import View, series_of
from colonnade.cloud.cloudwatch.periods import beginning, check_period, periods
from colonnade.cloud.cloudwatch.statistic import statistic


def lines_of(
    view: View, queries: Sequence[Mapping[str, Any]], start: float, end: float
) -> dict[str, list[Line]]:
    """By the Ids of those that return data. Raises ValidationError for expressions that cannot be, InvalidParameterValue."""
    found = _Queries(view, queries, start, end)
    return {query["Id"]: found.result(query["Id"]) for query in queries if query.get("ReturnData", True)}


class _Queries:
    def __init__(self, view: View, queries: Sequence[Mapping[str, Any]], start: float, end: float) -> None:
        self._view = view
        self._queries = {query["Id"]: query for query in queries}
        self._start, self._end = start, end
        self._values: dict[str, Value] = {}
        self._under_way: list[str] = []

    def result(self, id: str) -> list[Line]:
        value = self.value(id)
        if isinstance(value, float):
            raise ExpressionError(f"The expression {id} comes to a number, and a time series is wanted.")
        return [value] if isinstance(value, Line) else value

    def value(self, id: str) -> Value:
        """Raises KeyError for what is no query."""
        if id not in self._values:
            if id in self._under_way:
                raise ExpressionError(
                    f"The expression {id} rests on itself: {' -> '.join([*self._under_way, id])}."
                )
            self._under_way.append(id)
            query = self._queries[id]
            self._values[id] = self._metric(query) if "MetricStat" in query else self._expression(query)
            self._under_way.pop()
        return self._values[id]

    def _expression(self, query: Mapping[str, Any]) -> Value:
        scope = Scope(self.value, self._metrics, self._start, self._end)
        value = evaluate(parse(query["Expression"]), scope)
        label = query.get("Label") or query["Id"]
        if isinstance(value, Line):
            return Line(label, value.period, value.points)
        if isinstance(value, list):
            labelled = partial("{} {}".format, label)
            return [
                Line(labelled(line.label or number), line.period, line.points)
                for number, line in enumerate(value)
            ]
        return value

    def _metrics(self) -> Mapping[str, Line]:
        found = {id: self.value(id) for id, query in self._queries.items() if "MetricStat" in query}
        return {id: line for id, line in found.items() if isinstance(line, Line)}

    def _metric(self, query: Mapping[str, Any]) -> Line:
        asked = query["MetricStat"]
        wanted, period = statistic(asked["Stat"]), asked["Period"]
        check_period(period)
        start = beginning(self._start, self._view.now, period) // period * period
        points = periods(
            self._view.storage,
            series_of(self._view, asked["Metric"], asked.get("Unit", "")),
            start,
            self._end,
            period,
            totals=wanted.totals,
            aligned=True,
        )
        values = {point.at: wanted.compute(point.values) for point in points}
        known = {at: float(value) for at, value in values.items() if value is not None}
        return Line(query.get("Label") or asked["Metric"]["MetricName"], period, known)
