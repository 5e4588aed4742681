"""What a call names: its queue, as document, as ARN for policies, as refusal where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, finds_resources, judges
from colonnade.kernel.policy import Decision, Kind, parse
from colonnade.kernel.ports import Principals, ServerAddress
from colonnade.kernel.store import Document, Key, Reader, Scope, Stored


def queues(call: Call, account: str = "") -> Scope:
    return Scope(call.partition, account or call.account, call.region, "sqs", "queue")


def queue_key(call: Call) -> Key:
    """From `QueueUrl`, which ends in account and name whatever host it names."""
    account, _, name = str(call.parameters["QueueUrl"]).rstrip("/").rpartition("/")
    account = account.rpartition("/")[2]
    if not account.isdecimal() or len(account) != 12 or not name:
        raise ServiceError("InvalidAddress", f"The address {call.parameters['QueueUrl']} is not valid.")
    return queues(call, account).key(name)


def queue_url(call: Call, key: Key) -> str:
    return f"{call.platform.the(ServerAddress).url}/{key.account}/{key.name}"


def queue_arn(key: Key) -> str:
    return str(Arn(key.partition, "sqs", key.region, key.account, key.name))


def key_of_arn(arn: str) -> Key:
    """Raises ValueError for what is no queue's ARN."""
    parsed = Arn.parse(arn)
    if parsed.service != "sqs":
        raise ValueError(f"not a queue's ARN: {arn!r}")
    return Key(parsed.partition, parsed.account, parsed.region, "sqs", "queue", parsed.resource)


def find(reader: Reader, key: Key) -> Stored:
    stored = reader.get(key)
    if stored is None:
        raise missing()
    return stored


def messages_of(queue: Stored | Document, key: Key) -> Scope:
    """Each queue's messages have a scope of their own, which a later queue of the same name does not share."""
    document = queue.document if isinstance(queue, Stored) else queue
    return Scope(key.partition, key.account, key.region, "sqs", f"message-{document['_id']}")


def missing() -> ServiceError:
    return ServiceError("QueueDoesNotExist", "The specified queue does not exist.")


def invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", message)


@finds_resources("sqs")
def target(call: Call) -> str:
    if "QueueUrl" in call.parameters:
        return queue_arn(queue_key(call))
    if "QueueName" in call.parameters:
        return queue_arn(
            queues(call, call.parameters.get("QueueOwnerAWSAccountId", "")).key(call.parameters["QueueName"])
        )
    return str(call.parameters.get("SourceArn", "*"))


@judges("sqs")
def judge(call: Call, action: str, resource: str, context: Mapping[str, Any] | None) -> Decision:
    """The caller's policies, and the queue's own where it has one."""
    principals = call.platform.the(Principals)
    policy = _policy(call, resource)
    if not policy:
        return principals.decide(call.principal, action, resource, context)
    return principals.decide_with(
        call.principal, action, resource, parse(policy, Kind.RESOURCE, "Policy"), context
    )


def _policy(call: Call, resource: str) -> str:
    try:
        key = key_of_arn(resource)
    except ValueError:  # of all queues, or of none: the operation says so
        return ""
    with call.platform.store.read() as reader:
        stored = reader.get(key)
    return "" if stored is None else str(stored.document["attributes"].get("Policy", ""))
