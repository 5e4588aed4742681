"""Alarms as documents, and how one passes from state to state: the only place where a state, its history and its actions change.

A document holds the wire's members. `_rule_names` of a composite alarm are the alarms that its rule names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from colonnade.cloud.cloudwatch.metric import invalid
from colonnade.kernel import arns
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Notifications, Principal
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Document, Event, Key, Scope, Stored, Transaction

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
ACTIONS = {OK: "OKActions", ALARM: "AlarmActions", INSUFFICIENT_DATA: "InsufficientDataActions"}
_HISTORY = "history"


def scope_of(call: Call) -> Scope:
    return call.scope("Alarm")


def arn_of(key: Key) -> str:
    return str(arns.Arn(key.partition, "cloudwatch", key.region, key.account, f"alarm:{key.name}"))


def is_composite(document: Mapping[str, Any]) -> bool:
    return "AlarmRule" in document


def find(call: Call, name: str) -> Stored:
    """Raises ResourceNotFound."""
    with call.platform.store.read() as reader:
        stored = reader.get(scope_of(call).key(name))
    if stored is None:
        raise missing(name)
    return stored


def missing(name: str) -> ServiceError:
    return ServiceError("ResourceNotFound", f"Unknown alarm: {name}.", status=404)


def check_actions(call: Call, parameters: Mapping[str, Any]) -> None:
    """Topics of this account that exist. Raises ValidationError for anything else that would not be told."""
    for member in ACTIONS.values():
        for action in parameters.get(member, ()):
            if ":sns:" not in action:
                raise ServiceError(
                    "ValidationError",
                    f"Invalid alarm action {action} in {member}: Colonnade tells SNS topics (arn:aws:sns:...).",
                )
            call.platform.the(Notifications).check(_owner(call.account), action)


def keep(call: Call, name: str, document: Document) -> None:
    """Create or replace. What its state was is kept; a new alarm begins without data."""
    key = scope_of(call).key(name)
    with call.write() as transaction:
        before = transaction.get(key)
        if before is not None and is_composite(before.document) != is_composite(document):
            raise invalid(f"The alarm {name} exists with another type: delete it, or choose another name.")
        state = _state_of(before, call.now)
        document = {**state, **document, "AlarmConfigurationUpdatedTimestamp": call.now}
        transaction.put(key, document, at=call.now, status=document["StateValue"], active=True)
        done = "updated" if before is not None else "created"
        _tell_history(transaction, key, "ConfigurationUpdate", f'Alarm "{name}" {done}', {}, call.now)
    wake(call.platform, key)


def _state_of(before: Stored | None, now: float) -> Document:
    if before is None:
        return {
            "StateValue": INSUFFICIENT_DATA,
            "StateReason": "Unchecked: Initial alarm creation",
            "StateUpdatedTimestamp": now,
            "StateTransitionedTimestamp": now,
            "Tags": [],
        }
    kept = (
        "StateValue",
        "StateReason",
        "StateReasonData",
        "StateUpdatedTimestamp",
        "StateTransitionedTimestamp",
        "Tags",
    )
    return {member: before.document[member] for member in kept if member in before.document}


def pass_to(
    platform: Platform, key: Key, state: str, reason: str, data: Mapping[str, Any] | str, now: float
) -> None:
    """Change the state, write it into the history, tell the actions, and have those looked at that rest on this alarm. An equal state
    changes its reason only."""
    with platform.store.write() as transaction:
        stored = transaction.get(key)
        if stored is None:
            return
        document, before = dict(stored.document), stored.document["StateValue"]
        document["StateReason"] = reason[:1023]
        document["StateReasonData"] = data if isinstance(data, str) else json.dumps(data)
        document["StateUpdatedTimestamp"] = now
        document["StateValue"] = state
        if before != state:
            document["StateTransitionedTimestamp"] = now
            summary = f"Alarm updated from {before} to {state}"
            _tell_history(transaction, key, "StateUpdate", summary, _change(stored.document, document), now)
            _act(platform, transaction, key, document, before, now)
        transaction.put(key, document, at=now, status=state, active=stored.active)
    if before != state:
        for parent in parents(platform, key):
            wake(platform, parent)


def _act(
    platform: Platform, transaction: Transaction, key: Key, document: Document, before: str, now: float
) -> None:
    """Within the transaction of the change, so that nobody is told what did not happen, or not told what did."""
    if not document.get("ActionsEnabled", True):
        return
    message = json.dumps(_message(key, document, before, now))
    subject = f'{document["StateValue"]}: "{key.name}" in {key.region}'[:100]
    for topic in document.get(ACTIONS[document["StateValue"]], ()):
        try:
            platform.the(Notifications).publish(
                _owner(key.account), topic, message, subject=subject, within=transaction
            )
            summary, outcome = f"Successfully executed action {topic}", "Succeeded"
        except ServiceError as error:
            summary, outcome = f"Failed to execute action {topic}. Received error: {error}", "Failed"
        _tell_history(transaction, key, "Action", summary, {"actionState": outcome}, now)


def _owner(account: str) -> Principal:
    """Alarms act as their account: whoever makes one names topics that `check_actions` has looked at."""
    arn = f"arn:aws:iam::{account}:root"
    return Principal(arn, account, account, "root", arn)


def _message(key: Key, document: Document, before: str, now: float) -> dict[str, Any]:
    """What CloudWatch sends to topics."""
    trigger = {
        member: document[member]
        for member in (
            "MetricName",
            "Namespace",
            "Statistic",
            "ExtendedStatistic",
            "Unit",
            "Dimensions",
            "Period",
            "EvaluationPeriods",
            "DatapointsToAlarm",
            "ComparisonOperator",
            "Threshold",
            "TreatMissingData",
            "Metrics",
            "AlarmRule",
        )
        if member in document
    }
    return {
        "AlarmName": key.name,
        "AlarmDescription": document.get("AlarmDescription"),
        "AWSAccountId": key.account,
        "NewStateValue": document["StateValue"],
        "NewStateReason": document["StateReason"],
        "StateChangeTime": written(now),
        "Region": key.region,
        "AlarmArn": arn_of(key),
        "OldStateValue": before,
        "Trigger": trigger,
    }


def parents(platform: Platform, key: Key) -> list[Key]:
    """Composite alarms whose rules name this one."""
    with platform.store.read() as reader:
        rows = reader.scan(key.scope)
    return [row.key for row in rows if key.name in row.document.get("_rule_names", ())]


def _change(before: Document, after: Document) -> dict[str, Any]:
    return {
        "version": "1.0",
        "oldState": {"stateValue": before["StateValue"], "stateReason": before["StateReason"]},
        "newState": {"stateValue": after["StateValue"], "stateReason": after["StateReason"]},
    }


def _tell_history(
    transaction: Transaction, key: Key, kind: str, summary: str, data: Mapping[str, Any], now: float
) -> None:
    body = {"type": kind, "summary": summary, "data": json.dumps(data)}
    transaction.append(Event(_HISTORY, arn_of(key), now, body))


def forget(transaction: Transaction, keys: Sequence[Key], now: float) -> None:
    for key in keys:
        transaction.delete(key)
        _tell_history(transaction, key, "ConfigurationUpdate", f'Alarm "{key.name}" deleted', {}, now)


def history(platform: Platform, key: Key) -> list[Event]:
    """Oldest first."""
    found: list[Event] = []
    with platform.store.read() as reader:
        while page := reader.events(_HISTORY, subject=arn_of(key), after=found[-1].sequence if found else 0):
            found += page
    return found


def written(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.000+0000"
