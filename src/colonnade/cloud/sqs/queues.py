"""Queues: made, found, described, changed, emptied and deleted, with their tags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from colonnade.cloud.sqs import attributes, messages
from colonnade.cloud.sqs.named import (
    find,
    invalid,
    messages_of,
    missing,
    queue_arn,
    queue_key,
    queue_url,
    queues,
)
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.store import Document, Query, Stored, each

_PAGE = 1000
_MOST_TAGS = 50


@operation("sqs", "CreateQueue")
def create_queue(call: Call) -> Result:
    name = call.parameters["QueueName"]
    fifo = name.endswith(".fifo")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name.removesuffix(".fifo")) or len(name) > 80:
        raise invalid(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length, .fifo of FIFO queues included."
        )
    given = attributes.check(call.parameters.get("Attributes", {}), fifo=fifo)
    if fifo and given.get("FifoQueue") != "true":
        raise invalid("The name of a FIFO queue ends in .fifo, and its attribute FifoQueue is true.")
    key = queues(call).key(name)
    with call.write() as transaction:
        before = transaction.get(key)
        if before is not None:
            _check_same(before.document, given)
            return {"QueueUrl": queue_url(call, key)}
        document: Document = {
            "attributes": given,
            "tags": dict(call.parameters.get("tags", {})),
            "_id": call.platform.ids.token(16).lower(),
        }
        transaction.put(key, document, expect=0, at=call.now)
    return {"QueueUrl": queue_url(call, key)}


def _check_same(document: Document, given: dict[str, str]) -> None:
    known = {**attributes.DEFAULTS, **document["attributes"]}
    other = next((name for name, value in given.items() if known.get(name) != value), None)
    if other is not None:
        raise ServiceError(
            "QueueNameExists",
            f"A queue already exists with the same name and a different value for attribute {other}",
        )


@operation("sqs", "GetQueueUrl")
def get_queue_url(call: Call) -> Result:
    key = queues(call, call.parameters.get("QueueOwnerAWSAccountId", "")).key(call.parameters["QueueName"])
    with call.platform.store.read() as reader:
        find(reader, key)
    return {"QueueUrl": queue_url(call, key)}


@operation("sqs", "ListQueues")
def list_queues(call: Call) -> Result:
    limit = int(call.parameters.get("MaxResults", _PAGE))
    query = Query(name_prefix=call.parameters.get("QueueNamePrefix", ""), after=_after(call), limit=limit + 1)
    with call.platform.store.read() as reader:
        rows = reader.scan(queues(call), query)
    answer: dict[str, object] = {}
    if rows:
        answer["QueueUrls"] = [queue_url(call, row.key) for row in rows[:limit]]
    if len(rows) > limit:
        answer["NextToken"] = encode_token([rows[limit - 1].key.name])
    return answer


@operation("sqs", "ListDeadLetterSourceQueues")
def list_dead_letter_source_queues(call: Call) -> Result:
    key = queue_key(call)
    with call.platform.store.read() as reader:
        find(reader, key)
        sources = [row for row in each(reader, queues(call)) if _redrives_to(row) == queue_arn(key)]
    limit = int(call.parameters.get("MaxResults", _PAGE))
    after = _after(call)
    rows = [row for row in sources if after is None or row.key.name > after[1]]
    answer: dict[str, object] = {"queueUrls": [queue_url(call, row.key) for row in rows[:limit]]}
    if len(rows) > limit:
        answer["NextToken"] = encode_token([rows[limit - 1].key.name])
    return answer


def _redrives_to(row: Stored) -> str:
    return str(
        json.loads(row.document["attributes"].get("RedrivePolicy", "{}")).get("deadLetterTargetArn", "")
    )


def _after(call: Call) -> tuple[str, str] | None:
    if "NextToken" not in call.parameters:
        return None
    match decode_token(call.parameters["NextToken"]):
        case [str(name)]:
            return name, name
    raise invalid(f"Invalid NextToken value: {call.parameters['NextToken']}")


@operation("sqs", "GetQueueAttributes")
def get_queue_attributes(call: Call) -> Result:
    key = queue_key(call)
    with call.platform.store.read() as reader:
        stored = find(reader, key)
        counted = messages.counts(reader, messages_of(stored, key), call.now)
    known = {
        **attributes.DEFAULTS,
        **stored.document["attributes"],
        **counted,
        "QueueArn": queue_arn(key),
        "CreatedTimestamp": str(int(stored.created)),
        "LastModifiedTimestamp": str(int(stored.modified)),
    }
    wanted = call.parameters.get("AttributeNames", [])
    shown = {name: value for name, value in known.items() if "All" in wanted or name in wanted}
    return {"Attributes": shown} if shown else {}


@operation("sqs", "SetQueueAttributes")
def set_queue_attributes(call: Call) -> None:
    key = queue_key(call)
    changed = call.parameters["Attributes"]
    if "FifoQueue" in changed:
        raise ServiceError("InvalidAttributeName", "The attribute FifoQueue cannot be changed.")
    given = attributes.check(changed, fifo=key.name.endswith(".fifo"))
    with call.write() as transaction:
        stored = find(transaction, key)
        kept = {name: value for name, value in stored.document["attributes"].items() if name not in changed}
        transaction.put(key, {**stored.document, "attributes": {**kept, **given}}, at=call.now)


@operation("sqs", "PurgeQueue")
def purge_queue(call: Call) -> None:
    key = queue_key(call)
    with call.write() as transaction:
        stored = find(transaction, key)
    messages.remove_all(call.platform.store, messages_of(stored, key), sent_before=call.now)


@operation("sqs", "DeleteQueue")
def delete_queue(call: Call) -> None:
    key = queue_key(call)
    with call.write() as transaction:
        stored = find(transaction, key)
        transaction.delete(key)
    messages.remove_all(call.platform.store, messages_of(stored, key))


@operation("sqs", "TagQueue")
def tag_queue(call: Call) -> None:
    _change_tags(call, {**call.parameters["Tags"]}, ())


@operation("sqs", "UntagQueue")
def untag_queue(call: Call) -> None:
    _change_tags(call, {}, call.parameters["TagKeys"])


def _change_tags(
    call: Call, given: dict[str, str], gone: Iterator[str] | tuple[str, ...] | list[str]
) -> None:
    key = queue_key(call)
    with call.write() as transaction:
        stored = find(transaction, key)
        tags = {
            name: value
            for name, value in {**stored.document["tags"], **given}.items()
            if name not in set(gone)
        }
        if len(tags) > _MOST_TAGS:
            raise invalid(f"A queue has at most {_MOST_TAGS} tags, not {len(tags)}.")
        transaction.put(key, {**stored.document, "tags": tags}, at=stored.modified)


@operation("sqs", "ListQueueTags")
def list_queue_tags(call: Call) -> Result:
    with call.platform.store.read() as reader:
        stored = reader.get(queue_key(call))
    if stored is None:
        raise missing()
    return {"Tags": stored.document["tags"]} if stored.document["tags"] else {}
