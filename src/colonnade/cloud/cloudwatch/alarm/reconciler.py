"""Looks at each alarm every ten seconds, or when one that it rests on has changed, and passes it to the state that it must be in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.cloud.cloudwatch.alarm import rule
from colonnade.cloud.cloudwatch.alarm.documents import ALARM, INSUFFICIENT_DATA, OK, is_composite, pass_to
from colonnade.cloud.cloudwatch.alarm.judgement import LOOKED_BACK, Terms, Verdict, judge
from colonnade.cloud.cloudwatch.metric import View
from colonnade.cloud.cloudwatch.queries import lines_of
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import Again, Done, Outcome, reconciler
from colonnade.kernel.store import Document, Key
from colonnade.timeseries.database import Timeseries

_EVERY = 10.0
_LATE = 15.0
"""Seconds that a period's values may take to be put: workers publish every ten."""


def fail(platform: Platform, key: Key, reason: str) -> None:
    """An alarm is never given up; it says that it does not know."""
    pass_to(platform, key, INSUFFICIENT_DATA, f"Not evaluated: {reason}", {}, platform.clock.now())


@reconciler("cloudwatch", "Alarm", fail=fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    with platform.store.read() as reader:
        stored = reader.get(key)
    if stored is None:
        return Done()
    if is_composite(stored.document):
        _evaluate_rule(platform, key, stored.document)
    else:
        _evaluate_metric(platform, key, stored.document)
    return Again(_EVERY)


def _evaluate_rule(platform: Platform, key: Key, document: Document) -> None:
    with platform.store.read() as reader:
        rows = {row.key.name: row.document["StateValue"] for row in reader.scan(key.scope)}
    holds = rule.parse(document["AlarmRule"]).holds(lambda name: rows.get(name, INSUFFICIENT_DATA))
    state = ALARM if holds else OK
    if state != document["StateValue"]:
        names = ", ".join(f"{name} is {rows.get(name, 'deleted')}" for name in document["_rule_names"])
        pass_to(platform, key, state, f"AlarmRule is {str(holds).lower()}: {names}", {}, platform.clock.now())


def _evaluate_metric(platform: Platform, key: Key, document: Document) -> None:
    now = platform.clock.now()
    terms = Terms(
        document["ComparisonOperator"],
        document["Threshold"],
        document["EvaluationPeriods"],
        document.get("DatapointsToAlarm") or document["EvaluationPeriods"],
        document.get("TreatMissingData", "missing"),
    )
    try:
        values = _values(platform, key, document, terms, now)
    except ServiceError as error:
        if document["StateReason"] != str(error):
            pass_to(platform, key, INSUFFICIENT_DATA, str(error), {}, now)
        return
    verdict = judge(terms, values)
    if verdict.state and verdict.state != document["StateValue"]:
        pass_to(platform, key, verdict.state, _reason(terms, verdict), _data(document, verdict), now)


def _values(platform: Platform, key: Key, document: Document, terms: Terms, now: float) -> list[float | None]:
    """Of the last periods that are over, the latest first."""
    queries = document["Metrics"] if "Metrics" in document else [_query(document)]
    period = max(int(query["MetricStat"]["Period"]) for query in queries if "MetricStat" in query)
    end = (now - _LATE) // period * period
    count = terms.periods + LOOKED_BACK
    view = View(platform.the(Timeseries), key.account, key.region, now)
    (lines,) = lines_of(view, queries, end - count * period, end).values()
    points = lines[0].points if lines else {}
    return [points.get(end - number * period) for number in range(1, count + 1)]


def _query(document: Mapping[str, Any]) -> dict[str, Any]:
    metric = {
        member: document[member] for member in ("Namespace", "MetricName", "Dimensions") if member in document
    }
    stat = {
        "Metric": metric,
        "Period": document["Period"],
        "Stat": document.get("Statistic") or document["ExtendedStatistic"],
        **({"Unit": document["Unit"]} if "Unit" in document else {}),
    }
    return {"Id": "m1", "MetricStat": stat}


def _reason(terms: Terms, verdict: Verdict) -> str:
    if not verdict.real:
        return f"No datapoints were received for {terms.periods} periods: treated as {terms.missing}."
    values = ", ".join(f"{value:g}" for value in verdict.real)
    return (
        f"Threshold Crossed: {verdict.breaching} out of the last {terms.periods} datapoints [{values}] {_were(terms)} "
        f"({terms.to_alarm} datapoints are needed for ALARM)."
    )


def _were(terms: Terms) -> str:
    words = {
        "GreaterThanOrEqualToThreshold": "greater than or equal to",
        "GreaterThanThreshold": "greater than",
        "LessThanThreshold": "less than",
        "LessThanOrEqualToThreshold": "less than or equal to",
    }
    return f"were {words[terms.comparison]} the threshold ({terms.threshold:g})"


def _data(document: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    return {
        "version": "1.0",
        "recentDatapoints": list(verdict.real),
        "threshold": document["Threshold"],
        **{
            name: document[member]
            for name, member in (("period", "Period"), ("statistic", "Statistic"))
            if member in document
        },
    }
