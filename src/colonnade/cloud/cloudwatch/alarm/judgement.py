"""Whether points breach an alarm's threshold often enough: a pure decision, with CloudWatch's ways to treat missing points.

CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data": the rules here give the tables there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from colonnade.cloud.cloudwatch.alarm.documents import ALARM, INSUFFICIENT_DATA, OK

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
LOOKED_BACK = 2
"""Periods beyond those to be evaluated, where real points are looked for when some are missing."""


@dataclass(frozen=True, slots=True)
class Terms:
    comparison: str
    threshold: float
    periods: int
    """N: how many of the latest are evaluated."""
    to_alarm: int
    """M: how many of them must breach."""
    missing: str = "missing"

    def breaches(self, value: float) -> bool:
        return COMPARISONS[self.comparison](value, self.threshold)


@dataclass(frozen=True, slots=True)
class Verdict:
    state: str
    """Empty to leave it as it is."""
    breaching: int
    real: Sequence[float]
    """The values that were evaluated, the latest first."""


def judge(terms: Terms, latest_first: Sequence[float | None]) -> Verdict:
    """`latest_first` are the values of the last `periods + LOOKED_BACK` periods; None where there is none."""
    real = [value for value in latest_first if value is not None][: terms.periods]
    breaching = sum(terms.breaches(value) for value in real)
    absent = terms.periods - len(real)
    if terms.missing == "breaching":
        breaching += absent
    if breaching >= terms.to_alarm:
        return Verdict(ALARM, breaching, real)
    if terms.missing in ("breaching", "notBreaching") or len(real) > breaching:
        return Verdict(OK, breaching, real)
    if terms.missing == "ignore":
        return Verdict("", breaching, real)
    # All there is breaches, if there is anything: missing points are no reason to be calm.
    return Verdict(ALARM if real else INSUFFICIENT_DATA, breaching, real)
