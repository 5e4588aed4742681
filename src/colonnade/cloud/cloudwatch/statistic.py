"""CloudWatch's statistics, from the sketch of a period: `Average`, `p99.9`, `tm(10%:90%)` and their kin.

Definitions: CloudWatch User Guide, "CloudWatch statistics definitions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from colonnade.kernel.errors import ServiceError
from colonnade.statistics.sketch import Sketch

_NUMBER = r"\d+(?:\.\d{1,10})?"
_PERCENT = re.compile(rf"(p|tm|wm|tc|ts)({_NUMBER})", re.IGNORECASE)
_RANGE = re.compile(rf"(tm|wm|tc|ts|pr)\(({_NUMBER})?(%?):({_NUMBER})?(%?)\)", re.IGNORECASE)
BASIC: dict[str, Callable[[Sketch], float]] = {
    "SampleCount": lambda values: values.count,
    "Sum": lambda values: values.sum,
    "Average": lambda values: values.mean,
    "Minimum": lambda values: values.minimum,
    "Maximum": lambda values: values.maximum,
}


@dataclass(frozen=True, slots=True)
class Statistic:
    name: str
    compute: Callable[[Sketch], float | None]
    """None where the values' distribution is not known (statistic sets)."""

    @property
    def totals(self) -> bool:
        """Whether count, sum, minimum and maximum are all it takes."""
        return self.name in BASIC


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: float
    high: float
    percent: bool
    """Shares of the count, from 0 to 1; else values."""


@cache
def statistic(name: str) -> Statistic:
    """Raises InvalidParameterValue for a name that is none."""
    if name in BASIC:
        return Statistic(name, BASIC[name])
    if name.upper() == "IQM":
        return Statistic(name, lambda values: _trimmed_mean(values, _Bounds(0.25, 0.75, True)))
    if (match := _PERCENT.fullmatch(name)) is not None and float(match[2]) <= 100:
        share = float(match[2]) / 100
        if match[1].lower() == "p":
            return Statistic(name, lambda values: values.quantile(share))
        return _bounded(name, match[1].lower(), _Bounds(0.0, share, True))
    if (match := _RANGE.fullmatch(name)) is not None and (bounds := _bounds(match)) is not None:
        return _bounded(name, match[1].lower(), bounds)
    raise ServiceError(
        "InvalidParameterValue",
        f"The value {name} for parameter Stat is invalid: give one of {', '.join(BASIC)}, IQM, or one like p99, "
        "tm90, tm(10%:90%), wm(:5), tc(80:500), ts90, PR(:300).",
    )


def _bounds(match: re.Match[str]) -> _Bounds | None:
    kind, low, low_percent, high, high_percent = match.groups()
    percent = "%" in (low_percent, high_percent)
    if low is None and high is None:
        return None
    if percent and (
        kind.lower() == "pr"
        or (low is not None and not low_percent)
        or (high is not None and high_percent != "%")
    ):
        return None
    scale = 100 if percent else 1
    least, most = (0.0, 1.0) if percent else (float("-inf"), float("inf"))
    bounds = _Bounds(
        least if low is None else float(low) / scale, most if high is None else float(high) / scale, percent
    )
    return bounds if bounds.low <= bounds.high and (not percent or bounds.high <= 1) else None


def _bounded(name: str, kind: str, bounds: _Bounds) -> Statistic:
    ways: dict[str, Callable[[Sketch, _Bounds], float | None]] = {
        "tm": _trimmed_mean,
        "wm": _winsorized_mean,
        "tc": lambda values, within: _known(values, sum(times for _, times in _inside(values, within))),
        "ts": lambda values, within: _known(values, sum(v * times for v, times in _inside(values, within))),
        "pr": _percentile_rank,
    }
    return Statistic(name, lambda values: ways[kind](values, bounds))


def _known(values: Sketch, found: float) -> float | None:
    return found if values.known() else None


def _inside(values: Sketch, bounds: _Bounds) -> Iterator[tuple[float, float]]:
    """Values between the bounds, with their times; of a value on a bound by share, the part that is inside."""
    seen = 0.0
    for value, times in values.values():
        if bounds.percent:
            low, high = bounds.low * values.count, bounds.high * values.count
            inside = min(seen + times, high) - max(seen, low)
            seen += times
            if inside > 0:
                yield value, inside
        elif bounds.low < value <= bounds.high:
            yield value, times


def _trimmed_mean(values: Sketch, bounds: _Bounds) -> float | None:
    inside = list(_inside(values, bounds))
    count = sum(times for _, times in inside)
    return sum(value * times for value, times in inside) / count if count and values.known() else None


def _winsorized_mean(values: Sketch, bounds: _Bounds) -> float | None:
    """Values outside count as the nearest one inside."""
    inside = list(_inside(values, bounds))
    if not inside or not values.known():
        return None
    low, high = inside[0][0], inside[-1][0]
    total = sum(min(max(value, low), high) * times for value, times in values.values())
    return total / values.count


def _percentile_rank(values: Sketch, bounds: _Bounds) -> float | None:
    inside = sum(times for _, times in _inside(values, bounds))
    return _known(values, 100 * inside / values.count)
