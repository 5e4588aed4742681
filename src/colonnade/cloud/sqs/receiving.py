"""ReceiveMessage, and what a receiver does with a receipt handle: delete the message, or change when others see it.

A handle names the message and the receiving that it came from: an old one deletes nothing once somebody else has the message.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from colonnade.cloud.sqs import digests, messages
from colonnade.cloud.sqs.arrivals import until, waiting
from colonnade.cloud.sqs.batches import checked_entries, failed
from colonnade.cloud.sqs.named import find, invalid, messages_of, queue_key, target
from colonnade.kernel import json_text
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Handler, Result, operation
from colonnade.kernel.store import Key, Stored, Transaction

_LONGEST_VISIBILITY = 43_200


async def _receive_message(call: Call) -> Result:
    """Awaited on the event loop: a long poll holds no thread."""
    key, loop = queue_key(call), asyncio.get_running_loop()
    _check(call)
    deadline = time.monotonic() + await loop.run_in_executor(None, _patience, call, key)
    arrivals = waiting(call.platform)
    while True:
        future = arrivals.begin(key)
        try:
            found = await loop.run_in_executor(None, _take, call, key)
            left = deadline - time.monotonic()
            if found or left <= 0:
                return {"Messages": found} if found else {}
            await until(future, left)
        finally:
            arrivals.end(key, future)


# The gateway awaits what a handler returns when it is a coroutine function; Handler is written for the others.
receive_message = operation("sqs", "ReceiveMessage")(cast(Handler, _receive_message))


def _check(call: Call) -> None:
    for member, low, high in (
        ("MaxNumberOfMessages", 1, 10),
        ("WaitTimeSeconds", 0, 20),
        ("VisibilityTimeout", 0, 43_200),
    ):
        value = call.parameters.get(member, low)
        if not low <= value <= high:
            raise invalid(
                f"Value {value} for parameter {member} is invalid. Reason: Must be between {low} and {high}, if provided."
            )


def _patience(call: Call, key: Key) -> float:
    with call.platform.store.read() as reader:
        attributes = find(reader, key).document["attributes"]
    return float(call.parameters.get("WaitTimeSeconds", attributes.get("ReceiveMessageWaitTimeSeconds", 0)))


def _take(call: Call, key: Key) -> list[dict[str, Any]]:
    now = call.platform.clock.now()
    with call.platform.store.read() as reader:
        queue = find(reader, key)
        if not messages.any_ready(reader, messages_of(queue, key), now):
            return []
    with call.platform.store.write() as transaction:
        queue = find(transaction, key)
        given = call.parameters.get("VisibilityTimeout")
        visibility = float(
            queue.document["attributes"].get("VisibilityTimeout", 30) if given is None else given
        )
        taken = messages.receive(
            transaction,
            queue,
            now=now,
            most=int(call.parameters.get("MaxNumberOfMessages", 1)),
            visibility=visibility,
            ids=call.platform.ids,
        )
    return [_shown(call, row) for row in taken]


def _shown(call: Call, row: Stored) -> dict[str, Any]:
    document = row.document
    message: dict[str, Any] = {
        "MessageId": document["id"],
        "ReceiptHandle": _handle(row.key.name, document["nonce"]),
        "MD5OfBody": digests.of_body(document["body"]),
        "Body": document["body"],
    }
    known = {
        **document["system"],
        "SentTimestamp": str(int(document["sent"] * 1000)),
        "ApproximateReceiveCount": str(document["count"]),
        "ApproximateFirstReceiveTimestamp": str(int(document["first"] * 1000)),
    }
    asked = [
        *call.parameters.get("AttributeNames", []),
        *call.parameters.get("MessageSystemAttributeNames", []),
    ]
    if attributes := {name: value for name, value in known.items() if "All" in asked or name in asked}:
        message["Attributes"] = attributes
    chosen = {
        name: value
        for name, value in digests.shown(document["attributes"]).items()
        if _wanted(name, call.parameters.get("MessageAttributeNames", []))
    }
    if chosen:
        message["MessageAttributes"] = chosen
        message["MD5OfMessageAttributes"] = digests.of_attributes(chosen)
    return message


def _wanted(name: str, asked: Sequence[str]) -> bool:
    return any(
        each in ("All", ".*", name) or (each.endswith(".*") and name.startswith(each[:-2])) for each in asked
    )


def _handle(name: str, nonce: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([name, nonce]).encode()).decode()


def _read_handle(handle: str) -> tuple[str, str]:
    try:
        name, nonce = json_text.read(base64.urlsafe_b64decode(handle.encode()))
    except (ValueError, TypeError, binascii.Error):
        raise ServiceError(
            "ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.'
        ) from None
    return str(name), str(nonce)


@operation("sqs", "DeleteMessage")
def delete_message(call: Call) -> None:
    key = queue_key(call)
    with call.platform.store.write() as transaction:
        _delete(transaction, find(transaction, key), call.parameters["ReceiptHandle"])


@operation("sqs", "DeleteMessageBatch", demand=lambda call: [("sqs:DeleteMessage", target(call))])
def delete_message_batch(call: Call) -> Result:
    return _each(call, lambda transaction, queue, entry: _delete(transaction, queue, entry["ReceiptHandle"]))


@operation("sqs", "ChangeMessageVisibility")
def change_message_visibility(call: Call) -> None:
    key = queue_key(call)
    with call.platform.store.write() as transaction:
        _hide(call, transaction, find(transaction, key), call.parameters)


@operation(
    "sqs", "ChangeMessageVisibilityBatch", demand=lambda call: [("sqs:ChangeMessageVisibility", target(call))]
)
def change_message_visibility_batch(call: Call) -> Result:
    return _each(call, lambda transaction, queue, entry: _hide(call, transaction, queue, entry))


def _each(call: Call, do: Any) -> Result:
    key, entries = queue_key(call), checked_entries(call)
    answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
    with call.platform.store.write() as transaction:
        queue = find(transaction, key)
        for entry in entries:
            try:
                do(transaction, queue, entry)
            except ServiceError as error:
                answer["Failed"].append(failed(entry, error))
            else:
                answer["Successful"].append({"Id": entry["Id"]})
    return answer


def _held(transaction: Transaction, queue: Stored, handle: str) -> Stored | None:
    """The message, while the handle is of its latest receiving."""
    name, nonce = _read_handle(handle)
    stored = messages.at(transaction, messages_of(queue, queue.key), name)
    return stored if stored is not None and stored.document.get("nonce") == nonce else None


def _delete(transaction: Transaction, queue: Stored, handle: str) -> None:
    held = _held(transaction, queue, handle)
    if held is not None:
        transaction.delete(held.key)


def _hide(call: Call, transaction: Transaction, queue: Stored, given: Mapping[str, Any]) -> None:
    seconds = given.get("VisibilityTimeout", 30)
    if not 0 <= seconds <= _LONGEST_VISIBILITY:
        raise invalid(
            f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and {_LONGEST_VISIBILITY}, if provided."
        )
    held = _held(transaction, queue, given["ReceiptHandle"])
    if held is None or held.modified <= call.now:
        raise ServiceError(
            "MessageNotInflight",
            f"Value {given['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is "
            "not available for visibility timeout change.",
        )
    messages.put(
        transaction, messages_of(queue, queue.key), held.key.name, held.document, at=call.now + seconds
    )
