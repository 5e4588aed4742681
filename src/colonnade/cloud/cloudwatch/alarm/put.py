"""PutMetricAlarm and PutCompositeAlarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.cloud.cloudwatch.alarm import rule
from colonnade.cloud.cloudwatch.alarm.documents import arn_of, check_actions, keep, missing, scope_of
from colonnade.cloud.cloudwatch.alarm.judgement import COMPARISONS, TREATMENTS
from colonnade.cloud.cloudwatch.metric import dimensions_of
from colonnade.cloud.cloudwatch.periods import check_period
from colonnade.cloud.cloudwatch.statistic import statistic
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, operation

_LONGEST = 7 * 86_400
_NOT_YET = (
    "ThresholdMetricId",
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
    "ActionsSuppressor",
)


@operation("cloudwatch", "PutMetricAlarm")
def put_metric_alarm(call: Call) -> None:
    given = call.parameters
    _refuse_unbuilt(given)
    for member in ("EvaluationPeriods", "ComparisonOperator"):
        if member not in given:
            raise ServiceError("MissingParameter", f"The parameter {member} is required.")
    if given["ComparisonOperator"] not in COMPARISONS or "Threshold" not in given:
        raise _wrong("Give a Threshold and one of the ComparisonOperators " + ", ".join(COMPARISONS) + ".")
    if given.get("TreatMissingData", "missing") not in TREATMENTS:
        raise _wrong(f"TreatMissingData {given['TreatMissingData']} must be one of {', '.join(TREATMENTS)}.")
    if given.get("EvaluateLowSampleCountPercentile", "evaluate") != "evaluate":
        raise _not_yet("EvaluateLowSampleCountPercentile other than evaluate")
    if given.get("DatapointsToAlarm", 1) > given["EvaluationPeriods"]:
        raise _wrong("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    period = _check_metrics(given) if "Metrics" in given else _check_metric(given)
    if period * given["EvaluationPeriods"] > _LONGEST:
        raise _wrong(
            f"Metrics cannot be checked across more than {_LONGEST} seconds (EvaluationPeriods * Period)."
        )
    check_actions(call, given)
    _keep(call, {})


@operation("cloudwatch", "PutCompositeAlarm")
def put_composite_alarm(call: Call) -> None:
    _refuse_unbuilt(call.parameters)
    name = call.parameters["AlarmName"]
    names = rule.parse(call.parameters["AlarmRule"]).names
    if name in names:
        raise _wrong(f"AlarmRule of {name} must not name itself.")
    with call.platform.store.read() as reader:
        for each in sorted(names):
            child = reader.get(scope_of(call).key(each))
            if child is None:
                raise missing(each)
            if name in child.document.get("_rule_names", ()):
                raise _wrong(
                    f"AlarmRule of {name} names {each}, whose rule names {name}: alarms must not rest on each other."
                )
    check_actions(call, call.parameters)
    _keep(call, {"_rule_names": sorted(names)})


def _keep(call: Call, more: Mapping[str, Any]) -> None:
    name = call.parameters["AlarmName"]
    wire = {member: value for member, value in call.parameters.items() if member != "Tags"}
    key = scope_of(call).key(name)
    document = {"ActionsEnabled": True, **wire, "AlarmArn": arn_of(key), **more}
    if "Tags" in call.parameters:
        document["Tags"] = [dict(tag) for tag in call.parameters["Tags"]]
    keep(call, name, document)


def _check_metric(given: Mapping[str, Any]) -> int:
    for member in ("MetricName", "Namespace", "Period"):
        if member not in given:
            raise ServiceError(
                "MissingParameter", f"The parameter {member} is required, or Metrics in its place."
            )
    if ("Statistic" in given) == ("ExtendedStatistic" in given):
        raise _wrong("Give exactly one of Statistic and ExtendedStatistic.")
    statistic(given.get("Statistic") or given["ExtendedStatistic"])
    dimensions_of(given)
    check_period(given["Period"])
    return int(given["Period"])


def _check_metrics(given: Mapping[str, Any]) -> int:
    own = [member for member in ("MetricName", "Namespace", "Statistic", "Period") if member in given]
    if own:
        raise _wrong(f"Metrics and {own[0]} exclude each other.")
    wanted = [query for query in given["Metrics"] if query.get("ReturnData", True)]
    if len(wanted) != 1:
        raise _wrong(f"Exactly one member of Metrics must return data (ReturnData); {len(wanted)} do.")
    stats = [query["MetricStat"] for query in given["Metrics"] if "MetricStat" in query]
    if not stats:
        raise _wrong("Metrics must hold at least one MetricStat.")
    for stat in stats:
        statistic(stat["Stat"])
        check_period(stat["Period"])
    return max(int(stat["Period"]) for stat in stats)


def _refuse_unbuilt(given: Mapping[str, Any]) -> None:
    for member in _NOT_YET:
        if given.get(member):
            raise _not_yet(member)


def _not_yet(member: str) -> ServiceError:
    return ServiceError(
        "NotImplementedException", f"Colonnade does not implement {member} yet: leave it out.", status=501
    )


def _wrong(text: str) -> ServiceError:
    return ServiceError("ValidationError", text)
