"""Metric math: expressions over the metrics of a query, as GetMetricData and alarms take them.

CloudWatch User Guide, "Using math expressions with CloudWatch metrics". A value is a number, a time series, or an array of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from colonnade.kernel.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Line:
    """A time series: its points by their time, which have gaps where there was no value."""

    label: str
    period: int
    points: dict[float, float] = field(default_factory=dict)
    """In order of their times."""


Value = float | Line | list[Line]


class ExpressionError(ServiceError):
    def __init__(self, text: str) -> None:
        super().__init__("ValidationError", text, status=400)
