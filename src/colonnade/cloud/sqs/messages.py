"""The messages of a queue, as the store holds them.

A message's `modified` column is the instant from which it may be received; its status is "sent" until it first is, then "received".
A FIFO queue's messages are named by their sequence numbers, so that names tell the order; others by their ids.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from colonnade.cloud.sqs.named import key_of_arn, messages_of, queue_arn
from colonnade.kernel.ids import Ids
from colonnade.kernel.store import (
    Document,
    Key,
    Order,
    Query,
    Reader,
    Scope,
    Store,
    Stored,
    Transaction,
    each,
)

SENT, RECEIVED = "sent", "received"
_BATCH = 200
_PAGE = 10
_LOOKED_THROUGH = 20_000
"""Messages of a FIFO queue among which those of free groups are looked for."""


def put(transaction: Transaction, scope: Scope, name: str, document: Mapping[str, Any], *, at: float) -> None:
    transaction.put(scope.key(name), document, at=at, status=RECEIVED if document["count"] else SENT)


def counts(reader: Reader, scope: Scope, now: float) -> dict[str, str]:
    """The three Approximate attributes."""
    later = reader.scan(scope, Query(order=Order.MODIFIED, modified_after=now))
    delayed = sum(row.document["count"] == 0 for row in later)
    return {
        "ApproximateNumberOfMessages": str(reader.count(scope) - len(later)),
        "ApproximateNumberOfMessagesNotVisible": str(len(later) - delayed),
        "ApproximateNumberOfMessagesDelayed": str(delayed),
    }


def any_ready(reader: Reader, scope: Scope, now: float) -> bool:
    return bool(reader.scan(scope, _ready(now, 1)))


def _ready(now: float, limit: int) -> Query:
    # The bound is exclusive, and with a clock that stands still a message becomes visible at this very instant.
    return Query(order=Order.MODIFIED, modified_before=math.nextafter(now, math.inf), limit=limit)


def receive(
    transaction: Transaction, queue: Stored, *, now: float, most: int, visibility: float, ids: Ids
) -> list[Stored]:
    """At most so many, hidden from everybody else until their time-out. Those past their retention go; those that were received too
    often go to the dead-letter queue."""
    scope = messages_of(queue, queue.key)
    attributes = queue.document["attributes"]
    retention = float(attributes.get("MessageRetentionPeriod", "345600"))
    redrive = json.loads(attributes.get("RedrivePolicy", "{}"))
    taken: list[Stored] = []
    candidates = (
        _free(transaction, scope, now) if queue.key.name.endswith(".fifo") else _due(transaction, scope, now)
    )
    for row in candidates:
        if row.document["sent"] + retention <= now:
            transaction.delete(row.key)
            continue
        if (
            redrive
            and row.document["count"] >= int(redrive["maxReceiveCount"])
            and _bury(transaction, queue, row, redrive, now)
        ):
            continue
        document = {**row.document, "count": row.document["count"] + 1, "nonce": ids.token(8)}
        document.setdefault("first", now)
        put(transaction, scope, row.key.name, document, at=now + visibility)
        taken.append(Stored(row.key, row.version, document, row.created, now, RECEIVED, "", False))
        if len(taken) == most:
            break
    return taken


def _due(transaction: Transaction, scope: Scope, now: float) -> Iterator[Stored]:
    """Whoever takes one writes or deletes it, so a page is read before it is handed out."""
    after: tuple[str | float, str] | None = None
    while True:
        rows = transaction.scan(scope, replace(_ready(now, _PAGE), after=after))
        yield from rows
        if len(rows) < _PAGE:
            return
        after = (rows[-1].modified, rows[-1].key.name)


def _free(transaction: Transaction, scope: Scope, now: float) -> Iterator[Stored]:
    """In order, those whose group has no earlier message in flight."""
    blocked: set[str] = set()
    for number, row in enumerate(each(transaction, scope)):
        if number >= _LOOKED_THROUGH:
            return
        group = row.document["system"]["MessageGroupId"]
        if row.modified > now:
            blocked.add(group)
        elif group not in blocked:
            yield row


def _bury(
    transaction: Transaction, queue: Stored, row: Stored, redrive: Mapping[str, Any], now: float
) -> bool:
    """Into the dead-letter queue. False where that is gone: then the message stays."""
    target = transaction.get(key_of_arn(str(redrive["deadLetterTargetArn"])))
    if target is None:
        return False
    transaction.delete(row.key)
    system = {**row.document["system"], "DeadLetterQueueSourceArn": queue_arn(queue.key)}
    document: Document = {**row.document, "system": system, "count": 0}
    document.pop("first", None)
    name = row.key.name
    if target.key.name.endswith(".fifo"):
        name, target = next_sequence(transaction, target, now)
        document["system"]["SequenceNumber"] = name
    put(transaction, messages_of(target, target.key), name, document, at=now)
    return True


def next_sequence(transaction: Transaction, queue: Stored, now: float) -> tuple[str, Stored]:
    """A FIFO queue's next sequence number, as a name that sorts."""
    number = int(queue.document.get("_sequence", 0)) + 1
    changed = transaction.put(queue.key, {**queue.document, "_sequence": number}, at=queue.modified)
    return f"{number:020d}", changed


def remove_all(store: Store, scope: Scope, *, sent_before: float = math.inf) -> None:
    """In batches, so that nobody waits long for the store."""
    with store.read() as reader:
        names = [row.key for row in each(reader, scope) if row.document["sent"] <= sent_before]
    for start in range(0, len(names), _BATCH):
        with store.write() as transaction:
            for key in names[start : start + _BATCH]:
                transaction.delete(key)


def deduplication(scope: Scope) -> Scope:
    return Scope(scope.partition, scope.account, scope.region, scope.service, f"{scope.type}-deduplication")


def deduplicated(transaction: Transaction, scope: Scope, name: str, now: float) -> Document | None:
    """What was answered to the message of the same deduplication id, within its five minutes. Older ones go."""
    ids = deduplication(scope)
    for row in transaction.scan(ids, _ready(now, 20)):
        transaction.delete(row.key)
    stored = transaction.get(ids.key(name))
    return None if stored is None else stored.document


def remember(
    transaction: Transaction, scope: Scope, name: str, answer: Mapping[str, Any], until: float
) -> None:
    transaction.put(deduplication(scope).key(name), answer, at=until)


def at(reader: Reader, scope: Scope, name: str) -> Stored | None:
    return reader.get(Key(scope.partition, scope.account, scope.region, scope.service, scope.type, name))
