"""The attributes of a queue: what may be given, within which bounds, and what they are when nobody says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.cloud.sqs.named import key_of_arn
from colonnade.kernel import json_text
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.policy import Kind, MalformedPolicyDocument, parse

_BOUNDS = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "SqsManagedSseEnabled": "false",
}
_FIFO = {
    "FifoQueue": ("true",),
    "ContentBasedDeduplication": ("true", "false"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
_NOT_YET = ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds")


def check(given: Mapping[str, str], *, fifo: bool) -> dict[str, str]:
    """The attributes as they are kept. Raises SQS's errors for those that cannot be."""
    for name, value in given.items():
        if name in _BOUNDS:
            _check_number(name, value)
        elif name in _FIFO:
            if not fifo or value not in _FIFO[name]:
                raise _bad(name, value)
        elif name == "RedrivePolicy":
            _check_redrive(value)
        elif name == "RedriveAllowPolicy":
            _object(name, value)
        elif name == "Policy":
            _check_policy(value)
        elif name == "SqsManagedSseEnabled":
            if value == "true":
                raise _not_yet(name)
        elif name in _NOT_YET:
            if value:
                raise _not_yet(name)
        else:
            raise ServiceError("InvalidAttributeName", f"Unknown Attribute {name}.")
    return {name: value for name, value in given.items() if value}


def _check_number(name: str, value: str) -> None:
    low, high = _BOUNDS[name]
    if not value.isdecimal() or not low <= int(value) <= high:
        raise _bad(name, value, f" It must be a whole number from {low} to {high}.")


def _check_redrive(value: str) -> None:
    if not value:
        return
    policy = _object("RedrivePolicy", value)
    try:
        most = int(policy["maxReceiveCount"])
        key_of_arn(str(policy["deadLetterTargetArn"]))
    except (KeyError, ValueError, TypeError):
        raise _bad(
            "RedrivePolicy", value, " It needs deadLetterTargetArn (a queue's ARN) and maxReceiveCount."
        ) from None
    if not 1 <= most <= 1000:
        raise _bad("RedrivePolicy", value, " maxReceiveCount must be from 1 to 1000.")


def _check_policy(value: str) -> None:
    if not value:
        return
    try:
        parse(value, Kind.RESOURCE)
    except MalformedPolicyDocument as error:
        raise _bad("Policy", value, f" {error}") from None


def _object(name: str, value: str) -> dict[str, Any]:
    try:
        found = json_text.read(value) if value else {}
    except ValueError:
        raise _bad(name, value, " It must be JSON.") from None
    if not isinstance(found, dict):
        raise _bad(name, value, " It must be a JSON object.")
    return found


def _bad(name: str, value: str, remedy: str = "") -> ServiceError:
    return ServiceError(
        "InvalidAttributeValue", f"Invalid value {value[:200]!r} for the parameter {name}.{remedy}"
    )


def _not_yet(name: str) -> ServiceError:
    return ServiceError(
        "NotImplementedException",
        f"Colonnade does not implement {name} of queues yet. Leave it out.",
        status=501,
    )
