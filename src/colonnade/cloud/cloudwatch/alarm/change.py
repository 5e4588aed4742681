"""SetAlarmState, EnableAlarmActions, DisableAlarmActions, DeleteAlarms, and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from colonnade.cloud.cloudwatch.alarm.documents import find, forget, missing, pass_to, scope_of
from colonnade.kernel import json_text
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Key, Stored


@operation("cloudwatch", "SetAlarmState")
def set_alarm_state(call: Call) -> None:
    """Until the next evaluation says otherwise."""
    given = call.parameters
    key = find(call, given["AlarmName"]).key
    data = given.get("StateReasonData", "")
    if data:
        try:
            json_text.read(data)
        except ValueError as error:
            raise ServiceError("InvalidFormat", "StateReasonData was not valid JSON.") from error
    with call.write():
        pass
    pass_to(call.platform, key, given["StateValue"], given["StateReason"], data, call.now)


@operation("cloudwatch", "EnableAlarmActions")
def enable_alarm_actions(call: Call) -> None:
    _set_enabled(call, enabled=True)


@operation("cloudwatch", "DisableAlarmActions")
def disable_alarm_actions(call: Call) -> None:
    _set_enabled(call, enabled=False)


def _set_enabled(call: Call, *, enabled: bool) -> None:
    """Names that are no alarms are passed over, as CloudWatch does."""
    with call.write() as transaction:
        for name in call.parameters["AlarmNames"]:
            stored = transaction.get(scope_of(call).key(name))
            if stored is not None:
                document = {**stored.document, "ActionsEnabled": enabled}
                transaction.put(stored.key, document, at=call.now, status=stored.status, active=stored.active)


@operation("cloudwatch", "DeleteAlarms")
def delete_alarms(call: Call) -> None:
    names = call.parameters["AlarmNames"]
    with call.write() as transaction:
        alarms = transaction.scan(scope_of(call))
        known = {row.key.name: row for row in alarms}
        absent = next((name for name in names if name not in known), None)
        if absent is not None:
            raise missing(absent)
        _refuse_named(alarms, names)
        forget(transaction, [known[name].key for name in names], call.now)


def _refuse_named(alarms: Sequence[Stored], names: Sequence[str]) -> None:
    for row in alarms:
        named = set(row.document.get("_rule_names", ())) & set(names)
        if named and row.key.name not in names:
            raise ServiceError(
                "ValidationError",
                f"Cannot delete {sorted(named)[0]}: the composite alarm {row.key.name} names it. Change or delete that first.",
            )


def _of_arn(call: Call) -> Key:
    arn = call.parameters["ResourceARN"]
    name = arn.partition(":alarm:")[2]
    if not name:
        raise ServiceError(
            "InvalidParameterValue", f"{arn} is not the ARN of an alarm, and nothing else has tags here."
        )
    return find(call, name).key


@operation("cloudwatch", "TagResource")
def tag_resource(call: Call) -> None:
    _edit_tags(
        call, [dict(tag) for tag in call.parameters["Tags"]], [tag["Key"] for tag in call.parameters["Tags"]]
    )


@operation("cloudwatch", "UntagResource")
def untag_resource(call: Call) -> None:
    _edit_tags(call, [], call.parameters["TagKeys"])


def _edit_tags(call: Call, added: list[dict[str, Any]], removed: Sequence[str]) -> None:
    key = _of_arn(call)
    with call.write() as transaction:
        stored = transaction.get(key)
        if stored is None:
            raise missing(key.name)
        kept = [tag for tag in stored.document.get("Tags", []) if tag["Key"] not in removed]
        document = {**stored.document, "Tags": [*kept, *added]}
        transaction.put(key, document, at=call.now, status=stored.status, active=stored.active)
    wake(call.platform, key)


@operation("cloudwatch", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> Result:
    return {"Tags": find(call, _of_arn(call).name).document.get("Tags", [])}
