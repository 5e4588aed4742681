"""The functions of metric math. What a function is named in an expression is its key in FUNCTIONS, and nothing else to do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from colonnade.cloud.cloudwatch.math import ExpressionError, Line, Value


@dataclass(frozen=True, slots=True)
class Scope:
    """The query that an expression belongs to."""

    named: Callable[[str], Value]
    """By the Id of another query; raises KeyError."""
    metrics: Callable[[], Mapping[str, Line]]
    """Those of all queries that are metrics, by their Ids."""
    start: float
    end: float


Function = Callable[..., Value]
FUNCTIONS: dict[str, Function] = {}


def _function(name: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        FUNCTIONS[name] = function
        return function

    return register


def _line(value: Any) -> Line:
    if isinstance(value, Line):
        return value
    raise ExpressionError("A time series is wanted here.")


def _array(value: Any) -> list[Line]:
    if isinstance(value, Line):
        return [value]
    if isinstance(value, list):
        return value
    raise ExpressionError("An array of time series is wanted here.")


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise ExpressionError("A number is wanted here.")


def _each(change: Callable[[Line], Line]) -> Function:
    """A function of one time series, or of each of an array."""

    def function(scope: Scope, value: Value) -> Value:
        return [change(line) for line in value] if isinstance(value, list) else change(_line(value))

    return function


def _pointwise(compute: Callable[[float], float]) -> Function:
    def change(line: Line) -> Line:
        points: dict[float, float] = {}
        for at, value in line.points.items():
            try:
                points[at] = float(compute(value))
            except ValueError:  # the logarithm of a negative number: no point
                continue
        return replace(line, points=points)

    of_each = _each(change)

    def function(scope: Scope, value: Value) -> Value:
        if isinstance(value, float):
            return float(compute(value))
        return of_each(scope, value)

    return function


_POINTWISE: Mapping[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "LOG": math.log,
    "LOG10": math.log10,
}
FUNCTIONS |= {name: _pointwise(compute) for name, compute in _POINTWISE.items()}


def _reduced(reduce: Callable[[Sequence[float]], float]) -> Function:
    """Of a time series: one number. Of an array: a time series, at each time of what has a value there."""

    def function(scope: Scope, value: Value) -> Value:
        if isinstance(value, list):
            if not value:
                return []
            times = sorted({at for line in value for at in line.points})
            at_once = {at: [line.points[at] for line in value if at in line.points] for at in times}
            return Line("", value[0].period, {at: float(reduce(found)) for at, found in at_once.items()})
        points = list(_line(value).points.values())
        if not points:
            raise ExpressionError("A time series without points has no such number.")
        return float(reduce(points))

    return function


_REDUCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SUM": math.fsum,
    "AVG": statistics.fmean,
    "MIN": min,
    "MAX": max,
    "STDDEV": statistics.pstdev,
}
FUNCTIONS |= {name: _reduced(reduce) for name, reduce in _REDUCTIONS.items()}


@_function("METRICS")
def _metrics(scope: Scope, part: str = "") -> Value:
    return [line for id, line in scope.metrics().items() if part in id]


@_function("METRIC_COUNT")
def _metric_count(scope: Scope, value: Value) -> Value:
    return float(len(_array(value)))


@_function("DATAPOINT_COUNT")
def _datapoint_count(scope: Scope, value: Value) -> Value:
    return float(sum(len(line.points) for line in _array(value)))


@_function("PERIOD")
def _period(scope: Scope, value: Value) -> Value:
    return float(_line(value).period)


@_function("TIME_SERIES")
def _time_series(scope: Scope, value: Value) -> Value:
    number = _number(value)
    period = min((line.period for line in scope.metrics().values()), default=60)
    return Line("", period, dict.fromkeys(_grid(scope, period), number))


@_function("FILL")
def _fill(scope: Scope, value: Value, filling: Value | str) -> Value:
    return _each(lambda line: _filled(scope, line, filling))(scope, value)


def _filled(scope: Scope, line: Line, filling: Value | str) -> Line:
    points: dict[float, float] = {}
    for at in _grid(scope, line.period):
        found = line.points.get(at)
        if found is None:
            found = _filling(line, at, filling)
        if found is not None:
            points[at] = found
    return replace(line, points=points)


def _filling(line: Line, at: float, filling: Value | str) -> float | None:
    if isinstance(filling, Line):
        return filling.points.get(at)
    if filling not in ("REPEAT", "LINEAR"):
        return _number(filling)
    before = max((each for each in line.points if each < at), default=None)
    after = min((each for each in line.points if each > at), default=None)
    if filling == "REPEAT" or before is None or after is None:
        return None if before is None or filling == "LINEAR" else line.points[before]
    share = (at - before) / (after - before)
    return line.points[before] + share * (line.points[after] - line.points[before])


def _grid(scope: Scope, period: int) -> Iterable[float]:
    first = scope.start // period * period
    return (first + period * step for step in range(math.ceil((scope.end - first) / period)))


@_function("IF")
def _if(scope: Scope, condition: Value, so: Value, otherwise: Value | None = None) -> Value:
    if isinstance(condition, float):
        if condition:
            return so
        if otherwise is None:
            raise ExpressionError("IF with a number that is 0 needs a third argument.")
        return otherwise
    of = _line(condition)
    points: dict[float, float] = {}
    for at, holds in of.points.items():
        chosen = so if holds else otherwise
        found = chosen.points.get(at) if isinstance(chosen, Line) else chosen
        if found is not None:
            points[at] = _number(found)
    return replace(of, points=points)


def _between(compute: Callable[[float, float, float], float]) -> Function:
    """Of each point and the one before; the first has none."""

    def change(line: Line) -> Line:
        pairs = pairwise(line.points.items())
        return replace(
            line,
            points={at: compute(value - before, at - then, value) for (then, before), (at, value) in pairs},
        )

    return _each(change)


FUNCTIONS["DIFF"] = _between(lambda difference, seconds, value: difference)
FUNCTIONS["DIFF_TIME"] = _between(lambda difference, seconds, value: seconds)
FUNCTIONS["RATE"] = _between(lambda difference, seconds, value: difference / seconds)


def _running_sum(line: Line) -> Line:
    total, points = 0.0, {}
    for at, value in line.points.items():
        total += value
        points[at] = total
    return replace(line, points=points)


FUNCTIONS["RUNNING_SUM"] = _each(_running_sum)


@_function("REMOVE_EMPTY")
def _remove_empty(scope: Scope, value: Value) -> Value:
    return [line for line in _array(value) if line.points]


@_function("FIRST")
def _first(scope: Scope, value: Value) -> Value:
    return _at(value, 0)


@_function("LAST")
def _last(scope: Scope, value: Value) -> Value:
    return _at(value, -1)


def _at(value: Value, place: int) -> Value:
    lines = _array(value)
    if not lines:
        raise ExpressionError("An empty array has no first or last time series.")
    return lines[place]


@_function("SLICE")
def _slice(scope: Scope, value: Value, begin: Value, end: Value | None = None) -> Value:
    return _array(value)[int(_number(begin)) : None if end is None else int(_number(end))]


@_function("SORT")
def _sort(scope: Scope, value: Value, by: str, direction: str, most: Value | None = None) -> Value:
    if by not in _REDUCTIONS or direction not in ("ASC", "DSC"):
        raise ExpressionError(
            f"SORT takes one of {', '.join(_REDUCTIONS)} and ASC or DSC, not {by} and {direction}."
        )
    lines = [line for line in _array(value) if line.points]
    lines.sort(key=lambda line: _REDUCTIONS[by](list(line.points.values())), reverse=direction == "DSC")
    return lines if most is None else lines[: int(_number(most))]


def _calendar(part: Callable[[datetime], float]) -> Function:
    def change(line: Line) -> Line:
        return replace(line, points={at: float(part(datetime.fromtimestamp(at, UTC))) for at in line.points})

    return _each(change)


_PARTS: Mapping[str, Callable[[datetime], float]] = {
    "MINUTE": lambda moment: moment.minute,
    "HOUR": lambda moment: moment.hour,
    "DAY": lambda moment: moment.isoweekday(),
    "DATE": lambda moment: moment.day,
    "MONTH": lambda moment: moment.month,
    "YEAR": lambda moment: moment.year,
    "EPOCH": lambda moment: moment.timestamp(),
}
FUNCTIONS |= {name: _calendar(part) for name, part in _PARTS.items()}
