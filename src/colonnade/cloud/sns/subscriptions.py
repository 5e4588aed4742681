"""Subscriptions: who is told of what. A queue of the same account is told at once, an HTTP address once it has confirmed."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from colonnade.cloud.sns import deliveries, filters
from colonnade.cloud.sns.named import (
    arn_of,
    find_subscription,
    find_topic,
    invalid,
    subscription_key,
    subscriptions_of,
    topic_key,
)
from colonnade.cloud.sns.topics import PAGE, after, remove_subscription
from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import encode_token
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Document, Key, Query, Stored, Transaction, each

_ATTRIBUTES = ("DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy")
_PENDING = "pending confirmation"


@operation("sns", "Subscribe")
def subscribe(call: Call) -> Result:
    topic = topic_key(call.parameters["TopicArn"])
    protocol, endpoint = call.parameters["Protocol"], call.parameters.get("Endpoint", "")
    _check_endpoint(protocol, endpoint)
    attributes = {name: value for name, value in call.parameters.get("Attributes", {}).items() if value}
    for name, value in attributes.items():
        _check_attribute(name, value)
    with call.write() as transaction:
        find_topic(transaction, topic)
        scope, prefix = subscriptions_of(topic)
        for row in each(transaction, scope, Query(name_prefix=prefix)):
            if (row.document["Protocol"], row.document["Endpoint"]) == (protocol, endpoint):
                if row.document["attributes"] != attributes:
                    raise invalid(
                        "Invalid parameter: Attributes Reason: Subscription already exists with different attributes"
                    )
                return _answer(call, row.key, row.document)
        key = scope.key(f"{prefix}{call.platform.ids.uuid()}")
        document: Document = {
            "Protocol": protocol,
            "Endpoint": endpoint,
            "Owner": call.account,
            "attributes": attributes,
            "confirmed": protocol == "sqs",
            "token": call.platform.ids.token(64).lower(),
        }
        transaction.put(key, document, expect=0, at=call.now)
        if not document["confirmed"]:
            deliveries.ask_to_confirm(transaction, call.platform, key)
    if not document["confirmed"]:
        wake(call.platform, key)
    return _answer(call, key, document)


def _check_endpoint(protocol: str, endpoint: str) -> None:
    if protocol == "sqs":
        try:
            known = Arn.parse(endpoint).service == "sqs"
        except ValueError:
            known = False
        if not known:
            raise invalid("Invalid parameter: SQS endpoint ARN")
    elif protocol in ("http", "https"):
        parts = urlsplit(endpoint)
        if parts.scheme != protocol or not parts.hostname:
            raise invalid(f"Invalid parameter: Endpoint must match the specified protocol {protocol}")
    elif protocol in ("email", "email-json", "sms", "application", "lambda", "firehose"):
        raise ServiceError(
            "NotImplementedException",
            f"Colonnade does not implement the protocol {protocol} of subscriptions yet. Use sqs, http or https.",
            status=501,
        )
    else:
        raise invalid(f"Invalid parameter: Amazon SNS does not support this protocol string: {protocol}")


def _check_attribute(name: str, value: str) -> None:
    if name not in _ATTRIBUTES:
        raise invalid("Invalid parameter: AttributeName")
    if name == "RawMessageDelivery" and value.lower() not in ("true", "false"):
        raise invalid(f"Invalid parameter: RawMessageDelivery Reason: {value} is neither true nor false")
    if name == "FilterPolicyScope" and value not in ("MessageAttributes", "MessageBody"):
        raise invalid("Invalid parameter: FilterPolicyScope Reason: give MessageAttributes or MessageBody")
    if name == "FilterPolicy" and value:
        filters.check(value)
    if name == "RedrivePolicy" and value:
        deliveries.dead_letter_queue(value)
    if name == "DeliveryPolicy" and value:
        deliveries.retries(value)


def _answer(call: Call, key: Key, document: Document) -> Result:
    known = document["confirmed"] or call.parameters.get("ReturnSubscriptionArn")
    return {"SubscriptionArn": arn_of(key) if known else _PENDING}


@operation("sns", "ConfirmSubscription")
def confirm_subscription(call: Call) -> Result:
    with call.write() as transaction:
        key = _confirm(transaction, call.parameters["TopicArn"], call.parameters["Token"], call.now)
    return {"SubscriptionArn": arn_of(key)}


def confirm_by_token(platform: Platform, topic_arn: str, token: str) -> str:
    """For whoever opened the SubscribeURL. Answers the subscription's ARN; raises InvalidParameter or NotFound."""
    with platform.store.write() as transaction:
        return arn_of(_confirm(transaction, topic_arn, token, platform.clock.now()))


def _confirm(transaction: Transaction, topic_arn: str, token: str, now: float) -> Key:
    topic = topic_key(topic_arn)
    find_topic(transaction, topic)
    scope, prefix = subscriptions_of(topic)
    for row in each(transaction, scope, Query(name_prefix=prefix)):
        if secrets.compare_digest(row.document["token"].encode(), token.encode()):
            transaction.put(row.key, {**row.document, "confirmed": True}, at=now, active=row.active)
            return row.key
    raise invalid("Invalid parameter: Token")


@operation("sns", "Unsubscribe")
def unsubscribe(call: Call) -> None:
    key = subscription_key(call.parameters["SubscriptionArn"])
    with call.write() as transaction:
        stored = transaction.get(key)
        if stored is not None:
            remove_subscription(transaction, stored)


def unsubscribe_by_token(platform: Platform, arn: str, token: str) -> None:
    """For whoever opened the UnsubscribeURL. Raises InvalidParameter or NotFound."""
    with platform.store.write() as transaction:
        stored = find_subscription(transaction, subscription_key(arn))
        if not secrets.compare_digest(stored.document["token"].encode(), token.encode()):
            raise invalid("Invalid parameter: Token")
        remove_subscription(transaction, stored)


@operation("sns", "ListSubscriptions")
def list_subscriptions(call: Call) -> Result:
    return _listed(call, "")


@operation("sns", "ListSubscriptionsByTopic")
def list_subscriptions_by_topic(call: Call) -> Result:
    topic = topic_key(call.parameters["TopicArn"])
    with call.platform.store.read() as reader:
        find_topic(reader, topic)
    return _listed(call, f"{topic.name}/")


def _listed(call: Call, prefix: str) -> Result:
    with call.platform.store.read() as reader:
        rows = reader.scan(
            call.scope("subscription"), Query(name_prefix=prefix, after=after(call), limit=PAGE + 1)
        )
    answer: dict[str, Any] = {"Subscriptions": [_shown(row) for row in rows[:PAGE]]}
    if len(rows) > PAGE:
        answer["NextToken"] = encode_token([rows[PAGE - 1].key.name])
    return answer


def _shown(row: Stored) -> dict[str, str]:
    return {
        "SubscriptionArn": arn_of(row.key) if row.document["confirmed"] else "PendingConfirmation",
        "Owner": row.document["Owner"],
        "Protocol": row.document["Protocol"],
        "Endpoint": row.document["Endpoint"],
        "TopicArn": arn_of(row.key).rpartition(":")[0],
    }


@operation("sns", "GetSubscriptionAttributes")
def get_subscription_attributes(call: Call) -> Result:
    key = subscription_key(call.parameters["SubscriptionArn"])
    with call.platform.store.read() as reader:
        stored = find_subscription(reader, key)
    return {
        "Attributes": {
            "RawMessageDelivery": "false",
            **stored.document["attributes"],
            **_shown(stored),
            "SubscriptionArn": arn_of(key),
            "PendingConfirmation": str(not stored.document["confirmed"]).lower(),
            "ConfirmationWasAuthenticated": str(stored.document["Protocol"] == "sqs").lower(),
        }
    }


@operation("sns", "SetSubscriptionAttributes")
def set_subscription_attributes(call: Call) -> None:
    key = subscription_key(call.parameters["SubscriptionArn"])
    name, value = call.parameters["AttributeName"], call.parameters.get("AttributeValue", "")
    _check_attribute(name, value)
    with call.write() as transaction:
        stored = find_subscription(transaction, key)
        kept = {each: old for each, old in stored.document["attributes"].items() if each != name}
        changed = {**kept, name: value} if value else kept
        transaction.put(key, {**stored.document, "attributes": changed}, at=call.now, active=stored.active)
