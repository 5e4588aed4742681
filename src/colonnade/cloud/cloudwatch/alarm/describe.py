"""DescribeAlarms, DescribeAlarmsForMetric, DescribeAlarmHistory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.cloud.cloudwatch.alarm.documents import ACTIONS, history, is_composite, scope_of
from colonnade.cloud.cloudwatch.metric import combination, dimensions_of
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.store import Stored

_PAGE = 50
_KINDS = {False: "MetricAlarm", True: "CompositeAlarm"}


@operation("cloudwatch", "DescribeAlarms")
def describe_alarms(call: Call) -> Result:
    given = call.parameters
    if "AlarmNames" in given and "AlarmNamePrefix" in given:
        raise combination("The parameters AlarmNames and AlarmNamePrefix exclude each other.")
    # Composite alarms come only when they are asked for.
    types = given.get("AlarmTypes") or (
        ["MetricAlarm", "CompositeAlarm"] if "AlarmNames" in given else ["MetricAlarm"]
    )
    rows = [row for row in _alarms(call) if _KINDS[is_composite(row.document)] in types and _fits(row, given)]
    rows = _related(call, rows)
    page, more = _page(rows, given, given.get("MaxRecords", _PAGE))
    return {
        "MetricAlarms": [shown(row) for row in page if not is_composite(row.document)],
        "CompositeAlarms": [shown(row) for row in page if is_composite(row.document)],
        **more,
    }


def _alarms(call: Call) -> Sequence[Stored]:
    with call.platform.store.read() as reader:
        return reader.scan(scope_of(call))


def _fits(row: Stored, given: Mapping[str, Any]) -> bool:
    names = given.get("AlarmNames")
    actions = [action for member in ACTIONS.values() for action in row.document.get(member, ())]
    return (
        (names is None or row.key.name in names)
        and row.key.name.startswith(given.get("AlarmNamePrefix", ""))
        and given.get("StateValue", row.document["StateValue"]) == row.document["StateValue"]
        and ("ActionPrefix" not in given or any(each.startswith(given["ActionPrefix"]) for each in actions))
    )


def _related(call: Call, rows: list[Stored]) -> list[Stored]:
    given = call.parameters
    if child := given.get("ParentsOfAlarmName"):
        return [row for row in _alarms(call) if child in row.document.get("_rule_names", ())]
    if parent := given.get("ChildrenOfAlarmName"):
        children = {
            name
            for row in _alarms(call)
            if row.key.name == parent
            for name in row.document.get("_rule_names", ())
        }
        return [row for row in _alarms(call) if row.key.name in children]
    return rows


def shown(row: Stored) -> dict[str, Any]:
    return {member: value for member, value in row.document.items() if member != "Tags" and member[0] != "_"}


@operation("cloudwatch", "DescribeAlarmsForMetric")
def describe_alarms_for_metric(call: Call) -> Result:
    given = call.parameters
    wanted = dimensions_of(given)
    exact = [member for member in ("Statistic", "ExtendedStatistic", "Period", "Unit") if member in given]
    rows = [
        row
        for row in _alarms(call)
        if (row.document.get("Namespace"), row.document.get("MetricName"))
        == (given["Namespace"], given["MetricName"])
        and dimensions_of(row.document) == wanted
        and all(row.document.get(member) == given[member] for member in exact)
    ]
    return {"MetricAlarms": [shown(row) for row in rows]}


@operation("cloudwatch", "DescribeAlarmHistory")
def describe_alarm_history(call: Call) -> Result:
    given = call.parameters
    types = given.get("AlarmTypes") or ["MetricAlarm"]
    items = [
        {
            "AlarmName": row.key.name,
            "AlarmType": _KINDS[is_composite(row.document)],
            "Timestamp": event.at,
            "HistoryItemType": event.body["type"],
            "HistorySummary": event.body["summary"],
            "HistoryData": event.body["data"],
        }
        for row in _alarms(call)
        if given.get("AlarmName", row.key.name) == row.key.name
        and _KINDS[is_composite(row.document)] in types
        for event in history(call.platform, row.key)
        if given.get("HistoryItemType", event.body["type"]) == event.body["type"]
        and given.get("StartDate", event.at) <= event.at <= given.get("EndDate", event.at)
    ]
    items.sort(key=lambda item: item["Timestamp"])
    if given.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        items.reverse()
    page, more = _page(items, given, given.get("MaxRecords", 100))
    return {"AlarmHistoryItems": page, **more}


def _page(rows: Sequence[Any], given: Mapping[str, Any], size: int) -> tuple[Sequence[Any], dict[str, str]]:
    begin = 0
    if token := given.get("NextToken"):
        decoded = decode_token(token)
        if not isinstance(decoded, list) or len(decoded) != 1 or not isinstance(decoded[0], int):
            raise ServiceError(
                "InvalidNextToken", f"The token {token} is invalid: give the one of the page before."
            )
        begin = decoded[0]
    more = {"NextToken": encode_token([begin + size])} if len(rows) > begin + size else {}
    return rows[begin : begin + size], more
