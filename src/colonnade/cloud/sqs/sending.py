"""SendMessage and SendMessageBatch: what they answer is on the disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.cloud.sqs import digests, messages
from colonnade.cloud.sqs.arrivals import arrived
from colonnade.cloud.sqs.batches import checked_entries, failed
from colonnade.cloud.sqs.named import find, invalid, messages_of, queue_key, target
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Stored, Transaction

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LARGEST = 1_048_576
_REMEMBERED = 300.0
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")


def _sources(call: Call) -> Mapping[str, Any]:
    """On whose behalf a service sends: what queues' policies ask for."""
    return {"aws:SourceArn": call.invoked_by} if call.invoked_by.startswith("arn:") else {}


@operation("sqs", "SendMessage", conditions=_sources)
def send_message(call: Call) -> Result:
    key = queue_key(call)
    _check(call.parameters)
    with call.platform.store.write() as transaction:
        answer = _send(call, transaction, find(transaction, key), call.parameters)
    arrived(call.platform, key)
    return answer


def _demanded(call: Call) -> Sequence[tuple[str, str]]:
    return [("sqs:SendMessage", target(call))]


@operation("sqs", "SendMessageBatch", demand=_demanded)
def send_message_batch(call: Call) -> Result:
    key = queue_key(call)
    entries = checked_entries(call)
    if sum(_size(entry) for entry in entries) > _LARGEST:
        raise ServiceError("BatchRequestTooLong", f"Batch requests cannot be longer than {_LARGEST} bytes.")
    answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
    with call.platform.store.write() as transaction:
        find(transaction, key)
        for entry in entries:
            try:
                _check(entry)
                # Read anew each time: a FIFO queue's document counts its messages.
                sent = _send(call, transaction, find(transaction, key), entry)
            except ServiceError as error:
                answer["Failed"].append(failed(entry, error))
            else:
                answer["Successful"].append({"Id": entry["Id"], **sent})
    arrived(call.platform, key)
    return answer


def _check(given: Mapping[str, Any]) -> None:
    if not given["MessageBody"]:
        raise ServiceError("MissingParameter", "The request must contain the parameter MessageBody.")
    if found := _NOT_XML.search(given["MessageBody"]):
        raise ServiceError(
            "InvalidMessageContents",
            f"Invalid binary character '#x{ord(found[0]):X}' was found in the message body.",
        )
    for name, value in given.get("MessageAttributes", {}).items():
        _check_attribute(name, value)


def _check_attribute(name: str, value: Mapping[str, Any]) -> None:
    if not _NAME.fullmatch(name):
        raise invalid(
            f"The message attribute name '{name}' is invalid. Use A-Z, a-z, 0-9, underscore, hyphen and period."
        )
    kind = str(value.get("DataType", "")).partition(".")[0]
    if kind not in ("String", "Number", "Binary"):
        raise invalid(
            f"The type of message (user) attribute '{name}' is invalid. Use String, Number or Binary."
        )
    if ("BinaryValue" if kind == "Binary" else "StringValue") not in value:
        raise invalid(
            f"The message (user) attribute '{name}' must contain a non-empty value of its type {kind}."
        )


def _size(given: Mapping[str, Any]) -> int:
    attributes = sum(
        len(name)
        + len(value.get("DataType", ""))
        + len(value.get("StringValue", "").encode())
        + len(value.get("BinaryValue", b""))
        for name, value in given.get("MessageAttributes", {}).items()
    )
    return len(given["MessageBody"].encode()) + attributes


def _send(call: Call, transaction: Transaction, queue: Stored, given: Mapping[str, Any]) -> dict[str, Any]:
    attributes = queue.document["attributes"]
    most = int(attributes.get("MaximumMessageSize", _LARGEST))
    if _size(given) > most:
        raise invalid(
            f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
        )
    if not queue.key.name.endswith(".fifo"):
        return _put(call, transaction, queue, given, call.platform.ids.uuid(), {})
    return _send_in_order(call, transaction, queue, given)


def _send_in_order(
    call: Call, transaction: Transaction, queue: Stored, given: Mapping[str, Any]
) -> dict[str, Any]:
    if "MessageGroupId" not in given:
        raise ServiceError("MissingParameter", "The request must contain the parameter MessageGroupId.")
    if given.get("DelaySeconds"):
        raise invalid(
            f"Value {given['DelaySeconds']} for parameter DelaySeconds is invalid. Reason: The request include parameter "
            "that is not valid for this queue type."
        )
    attributes = queue.document["attributes"]
    id = given.get("MessageDeduplicationId", "")
    if not id and attributes.get("ContentBasedDeduplication") != "true":
        raise invalid(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
        )
    id = id or hashlib.sha256(given["MessageBody"].encode()).hexdigest()
    place = (
        f"{given['MessageGroupId']}/{id}" if attributes.get("DeduplicationScope") == "messageGroup" else id
    )
    scope = messages_of(queue, queue.key)
    before = messages.deduplicated(transaction, scope, place, call.now)
    if before is not None:
        return dict(before)
    sequence, queue = messages.next_sequence(transaction, queue, call.now)
    system = {
        "MessageGroupId": given["MessageGroupId"],
        "MessageDeduplicationId": id,
        "SequenceNumber": sequence,
    }
    answer = _put(call, transaction, queue, given, sequence, system)
    messages.remember(transaction, scope, place, answer, call.now + _REMEMBERED)
    return answer


def _put(
    call: Call,
    transaction: Transaction,
    queue: Stored,
    given: Mapping[str, Any],
    name: str,
    system: dict[str, str],
) -> dict[str, Any]:
    delay = float(given.get("DelaySeconds", queue.document["attributes"].get("DelaySeconds", 0)))
    attributes = given.get("MessageAttributes", {})
    traced = given.get("MessageSystemAttributes", {})
    if "MessageGroupId" in given:
        system = {"MessageGroupId": given["MessageGroupId"], **system}
    document = {
        "id": call.platform.ids.uuid() if system.get("SequenceNumber") else name,
        "body": given["MessageBody"],
        "attributes": digests.kept(attributes),
        "system": {
            "SenderId": call.principal.user_id or call.principal.arn,
            **{each: value["StringValue"] for each, value in traced.items() if "StringValue" in value},
            **system,
        },
        "sent": call.now,
        "count": 0,
    }
    messages.put(transaction, messages_of(queue, queue.key), name, document, at=call.now + delay)
    answer = {"MessageId": document["id"], "MD5OfMessageBody": digests.of_body(given["MessageBody"])}
    if attributes:
        answer["MD5OfMessageAttributes"] = digests.of_attributes(attributes)
    if traced:
        answer["MD5OfMessageSystemAttributes"] = digests.of_attributes(traced)
    if "SequenceNumber" in system:
        answer["SequenceNumber"] = system["SequenceNumber"]
    return answer
