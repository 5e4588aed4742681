"""What is on its way to a subscriber: documents named in their order, each gone once it has arrived or is given up.

Whoever writes one marks its subscription active, which is what hands it to the reconciler in `delivering.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from colonnade.cloud.sns.named import invalid
from colonnade.kernel import json_text
from colonnade.kernel.platform import Platform
from colonnade.kernel.store import Key, Scope, Stored, Transaction

NOTIFICATION, CONFIRMATION = "Notification", "SubscriptionConfirmation"


class Retries(NamedTuple):
    """As DeliveryPolicy's healthyRetryPolicy has it."""

    most: int = 3
    shortest: float = 20.0
    longest: float = 20.0

    def wait(self, attempts: int) -> float:
        return min(self.longest, self.shortest * 2.0 ** min(attempts - 1, 30))


PATIENT = Retries(100_000, 1.0, 20.0)
"""Towards queues of this server: what AWS calls an AWS-managed endpoint."""


def deliveries(subscription: Key) -> tuple[Scope, str]:
    """Their scope and the beginning of their names."""
    scope = Scope(subscription.partition, subscription.account, subscription.region, "sns", "delivery")
    return scope, f"{subscription.name}/"


def enqueue(
    transaction: Transaction,
    subscription: Stored,
    message: Mapping[str, Any],
    now: float,
    kind: str = NOTIFICATION,
) -> None:
    scope, prefix = deliveries(subscription.key)
    number = int(subscription.document.get("_deliveries", 0)) + 1
    document = {"kind": kind, "message": dict(message), "published": now, "attempts": 0, "next": now}
    transaction.put(scope.key(f"{prefix}{number:020d}"), document, expect=0, at=now)
    subscription.document["_deliveries"] = number
    transaction.put(subscription.key, subscription.document, at=now, active=True)


def ask_to_confirm(transaction: Transaction, platform: Platform, key: Key) -> None:
    stored = transaction.get(key)
    assert stored is not None
    topic = key.name.partition("/")[0]
    text = (
        f"You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL "
        "included in this message."
    )
    message = {"id": platform.ids.uuid(), "message": text, "by_protocol": {}, "subject": "", "attributes": {}}
    enqueue(transaction, stored, message, platform.clock.now(), CONFIRMATION)


def retries(policy: str) -> Retries:
    """Of a subscription's DeliveryPolicy. Raises InvalidParameter."""
    if not policy:
        return Retries()
    try:
        document = json_text.read(policy)
        healthy = (
            document.get("healthyRetryPolicy")
            or document.get("http", {}).get("defaultHealthyRetryPolicy")
            or {}
        )
        found = Retries(
            int(healthy.get("numRetries", 3)),
            float(healthy.get("minDelayTarget", 20)),
            float(healthy.get("maxDelayTarget", 20)),
        )
    except (ValueError, AttributeError, TypeError):
        raise invalid("Invalid parameter: DeliveryPolicy: failed to parse JSON.") from None
    if not 0 <= found.most <= 100 or not 1 <= found.shortest <= found.longest <= 3600:
        raise invalid(
            "Invalid parameter: DeliveryPolicy: numRetries must be from 0 to 100, and the delays from 1 to 3600, the shorter first"
        )
    return found


def dead_letter_queue(policy: str) -> str:
    """The ARN in a RedrivePolicy; empty for none. Raises InvalidParameter."""
    if not policy:
        return ""
    try:
        arn = str(json_text.read(policy)["deadLetterTargetArn"])
    except (ValueError, KeyError, TypeError):
        raise invalid("Invalid parameter: RedrivePolicy: deadLetterTargetArn is missing") from None
    if not arn.startswith("arn:") or arn.split(":")[2] != "sqs":
        raise invalid(f"Invalid parameter: RedrivePolicy: {arn} is not the ARN of a queue")
    return arn
