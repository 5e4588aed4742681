"""Publish and PublishBatch, and the port by which the platform's own parts publish."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from colonnade.cloud.sns import deliveries, filters
from colonnade.cloud.sns.named import find_topic, invalid, subscriptions_of, target, topic_key
from colonnade.kernel import json_text, operations
from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principal
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Key, Query, Transaction, each

_LARGEST = 262_144
_MOST = 10


@operation("sns", "Publish")
def publish(call: Call) -> Result:
    topic = _topic(call)
    message = _message(call.platform, call.parameters)
    with call.platform.store.write() as transaction:
        told = _enqueue(transaction, topic, message, call.now)
    for key in told:
        wake(call.platform, key)
    return {"MessageId": message["id"]}


def _topic(call: Call) -> Key:
    if "PhoneNumber" in call.parameters:
        raise ServiceError(
            "NotImplementedException", "Colonnade does not send text messages. Give TopicArn.", status=501
        )
    arn = call.parameters.get("TopicArn") or call.parameters.get("TargetArn")
    if not arn:
        raise invalid("Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter")
    return topic_key(arn)


def _demanded(call: Call) -> Sequence[tuple[str, str]]:
    return [("sns:Publish", target(call))]


@operation("sns", "PublishBatch", demand=_demanded)
def publish_batch(call: Call) -> Result:
    entries = call.parameters["PublishBatchRequestEntries"]
    ids = [entry["Id"] for entry in entries]
    if not entries:
        raise ServiceError("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > _MOST:
        raise ServiceError(
            "TooManyEntriesInBatchRequest", f"The batch request contains more than {_MOST} entries."
        )
    if len(set(ids)) != len(ids):
        raise ServiceError(
            "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id."
        )
    topic = topic_key(call.parameters["TopicArn"])
    answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
    told: set[Key] = set()
    with call.platform.store.write() as transaction:
        find_topic(transaction, topic)
        for entry in entries:
            try:
                message = _message(call.platform, entry)
                told.update(_enqueue(transaction, topic, message, call.now))
            except ServiceError as error:
                answer["Failed"].append(
                    {"Id": entry["Id"], "Code": error.code, "Message": error.message, "SenderFault": True}
                )
            else:
                answer["Successful"].append({"Id": entry["Id"], "MessageId": message["id"]})
    for key in told:
        wake(call.platform, key)
    return answer


def _message(platform: Platform, given: Mapping[str, Any]) -> dict[str, Any]:
    """As deliveries hold it. Raises InvalidParameter."""
    attributes = given.get("MessageAttributes", {})
    for name, value in attributes.items():
        if not {"StringValue", "BinaryValue"} & value.keys():
            raise invalid(
                f"Invalid parameter: The message attribute '{name}' must contain non-empty message attribute value."
            )
    if len(given["Message"].encode()) > _LARGEST:
        raise invalid("Invalid parameter: Message too long")
    if not given["Message"]:
        raise invalid("Invalid parameter: Empty message")
    subject = given.get("Subject", "")
    if len(subject) > 100 or any(ord(character) < 32 for character in subject):
        raise invalid("Invalid parameter: Subject")
    return {
        "id": platform.ids.uuid(),
        "message": given["Message"],
        "by_protocol": _by_protocol(given),
        "subject": subject,
        "attributes": {
            name: [
                value["DataType"],
                base64.b64encode(value["BinaryValue"]).decode()
                if "BinaryValue" in value
                else value["StringValue"],
            ]
            for name, value in attributes.items()
        },
    }


def _by_protocol(given: Mapping[str, Any]) -> dict[str, str]:
    """With MessageStructure json, a message may say something else to each protocol."""
    if given.get("MessageStructure") != "json":
        return {}
    try:
        texts = json_text.read(given["Message"])
    except ValueError:
        texts = None
    if not isinstance(texts, dict):
        raise invalid("Invalid parameter: Message Structure - JSON message body failed to parse")
    if not isinstance(texts.get("default"), str):
        raise invalid("Invalid parameter: Message Structure - No default entry in JSON message body")
    return {protocol: text for protocol, text in texts.items() if isinstance(text, str)}


def _enqueue(transaction: Transaction, topic: Key, message: Mapping[str, Any], now: float) -> list[Key]:
    """A delivery for each subscriber that wants it. Answers the subscriptions, to be woken."""
    find_topic(transaction, topic)
    scope, prefix = subscriptions_of(topic)
    told = []
    for row in list(each(transaction, scope, Query(name_prefix=prefix))):
        if row.document["confirmed"] and filters.wants(
            row.document["attributes"], message["message"], message["attributes"]
        ):
            deliveries.enqueue(transaction, row, message, now)
            told.append(row.key)
    return told


class StoredNotifications:
    """Implements `kernel.ports.Notifications`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def check(self, principal: Principal, topic_arn: str) -> None:
        call = self._call(principal, topic_arn, {"TopicArn": topic_arn, "Message": "?"})
        operations.authorise(operations.find("sns", "Publish"), call)
        with self._platform.store.read() as reader:
            find_topic(reader, topic_key(topic_arn))

    def publish(
        self,
        principal: Principal,
        topic_arn: str,
        message: str,
        *,
        subject: str = "",
        within: Transaction | None = None,
    ) -> str:
        parameters = {"TopicArn": topic_arn, "Message": message, "Subject": subject}
        call = self._call(principal, topic_arn, parameters)
        if within is None:
            operations.authorise(operations.find("sns", "Publish"), call)
        made = _message(self._platform, parameters)
        with nullcontext(within) if within is not None else self._platform.store.write() as transaction:
            told = _enqueue(transaction, topic_key(topic_arn), made, call.now)
        for key in told:
            # Before the caller's transaction is over this may come too early: the driver looks at active rows in any case.
            wake(self._platform, key)
        return str(made["id"])

    def _call(self, principal: Principal, topic_arn: str, parameters: Mapping[str, Any]) -> Call:
        return Call(
            service="sns",
            operation="Publish",
            parameters=parameters,
            principal=principal,
            platform=self._platform,
            account=principal.account,
            region=Arn.parse(topic_arn).region if topic_arn.count(":") >= 5 else "us-east-1",
            request_id=self._platform.ids.uuid(),
            now=self._platform.clock.now(),
        )
