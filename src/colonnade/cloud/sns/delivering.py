"""Brings what was published to its subscribers. The reconciler of subscriptions: one of them at a time, each in its order.

A delivery goes away only after its subscriber has taken it, so a crash may deliver twice and never not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from colonnade.cloud.sns import posting
from colonnade.cloud.sns.deliveries import PATIENT, Retries, dead_letter_queue, deliveries, retries
from colonnade.cloud.sns.envelopes import attributes_for_queue, envelope
from colonnade.cloud.sns.named import arn_of
from colonnade.kernel import operations
from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principal
from colonnade.kernel.reconcile import Again, Done, Outcome, reconciler
from colonnade.kernel.store import Key, Query, Stored

_log = logging.getLogger(__name__)
_BATCH = 20
_SHORTEST = 0.05
_LONGEST = 1.0


class Refused(Exception):  # noqa: N818 - a verdict
    """The subscriber does not take it, and would not another time."""


class Unreachable(Exception):  # noqa: N818 - a condition
    """Not now; another time it may."""


def fail(platform: Platform, key: Key, reason: str) -> None:
    _log.error("%s: %s", key, reason)


@reconciler("sns", "subscription", fail=fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    scope, prefix = deliveries(key)
    with platform.store.read() as reader:
        subscription = reader.get(key)
        rows = reader.scan(scope, Query(name_prefix=prefix, limit=_BATCH))
    if subscription is None:
        return Done()
    for row in rows:
        wait = row.document["next"] - platform.clock.now()
        if wait > 0:
            return Again(min(max(wait, _SHORTEST), _LONGEST))
        if not _deliver(platform, subscription, row):
            return Again(_SHORTEST)
    return Again(0.0) if len(rows) == _BATCH else _rest(platform, key)


def _rest(platform: Platform, key: Key) -> Outcome:
    """Until the next delivery is written: which may be this very moment."""
    scope, prefix = deliveries(key)
    with platform.store.write() as transaction:
        stored = transaction.get(key)
        if stored is not None and not transaction.scan(scope, Query(name_prefix=prefix, limit=1)):
            transaction.put(key, stored.document, at=stored.modified, active=False)
            return Done()
    return Again(0.0)


def _deliver(platform: Platform, subscription: Stored, row: Stored) -> bool:
    """Whether this delivery is over, one way or the other."""
    try:
        _hand_over(platform, subscription, row.document)
    except Unreachable as error:
        return _postpone(platform, subscription, row, str(error))
    except Refused as error:
        _give_up(platform, subscription, row, str(error))
    _remove(platform, row)
    return True


def _postpone(platform: Platform, subscription: Stored, row: Stored, why: str) -> bool:
    attempts, policy = row.document["attempts"] + 1, _retries(subscription)
    if attempts > policy.most:
        _give_up(platform, subscription, row, why)
        _remove(platform, row)
        return True
    now = platform.clock.now()
    document = {**row.document, "attempts": attempts, "next": now + policy.wait(attempts)}
    with platform.store.write() as transaction:
        if transaction.get(row.key) is not None:
            transaction.put(row.key, document, at=now)
    return False


def _retries(subscription: Stored) -> Retries:
    if subscription.document["Protocol"] == "sqs":
        return PATIENT
    return retries(subscription.document["attributes"].get("DeliveryPolicy", ""))


def _remove(platform: Platform, row: Stored) -> None:
    with platform.store.write() as transaction:
        transaction.delete(row.key)


def _give_up(platform: Platform, subscription: Stored, row: Stored, why: str) -> None:
    """To the dead-letter queue where there is one; else the log says so."""
    arn = dead_letter_queue(subscription.document["attributes"].get("RedrivePolicy", ""))
    _log.warning("%s did not take message %s: %s", subscription.key, row.document["message"]["id"], why)
    if arn:
        try:
            _send(platform, subscription, arn, envelope(platform, subscription, row.document), {})
        except (Refused, Unreachable) as error:
            _log.error("%s: nor did the dead-letter queue %s: %s", subscription.key, arn, error)


def _hand_over(platform: Platform, subscription: Stored, delivery: Mapping[str, Any]) -> None:
    raw = subscription.document["attributes"].get("RawMessageDelivery", "false").lower() == "true"
    text = delivery["message"]["by_protocol"].get(
        subscription.document["Protocol"],
        delivery["message"]["by_protocol"].get("default", delivery["message"]["message"]),
    )
    if subscription.document["Protocol"] == "sqs":
        body = text if raw else envelope(platform, subscription, delivery)
        attributes = attributes_for_queue(delivery["message"]["attributes"]) if raw else {}
        _send(platform, subscription, subscription.document["Endpoint"], body, attributes)
        return
    body = text if raw and delivery["kind"] == "Notification" else envelope(platform, subscription, delivery)
    status = posting.post(
        subscription.document["Endpoint"],
        body,
        kind=delivery["kind"],
        message_id=delivery["message"]["id"],
        topic=arn_of(subscription.key).rpartition(":")[0],
        subscription=arn_of(subscription.key) if subscription.document["confirmed"] else "",
        raw=raw,
    )
    if isinstance(status, str):
        raise Unreachable(status)
    if 400 <= status < 500 and status != 429:
        raise Refused(f"it answered {status}")
    if not 200 <= status < 300:
        raise Unreachable(f"it answered {status}")


def _send(
    platform: Platform, subscription: Stored, arn: str, body: str, attributes: Mapping[str, Any]
) -> None:
    """As the service: the queue's policy must allow sns.amazonaws.com to send, as on AWS."""
    queue = Arn.parse(arn)
    topic_arn = arn_of(subscription.key).rpartition(":")[0]
    url = f"https://sqs/{queue.account}/{queue.resource}"
    parameters = {
        "QueueUrl": url,
        "MessageBody": body,
        **({"MessageAttributes": attributes} if attributes else {}),
    }
    try:
        operations.invoke(
            platform,
            "sqs",
            "SendMessage",
            parameters,
            principal=_sender(subscription),
            region=queue.region,
            owner=topic_arn,
        )
    except ServiceError as error:
        if error.status is not None and error.status >= 500 and error.status != 501:
            raise Unreachable(str(error)) from error
        raise Refused(str(error)) from error


def _sender(subscription: Stored) -> Principal:
    return Principal("sns.amazonaws.com", subscription.key.account, "sns.amazonaws.com", "service")
