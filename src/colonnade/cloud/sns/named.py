"""What a call names: its topic or subscription, as keys, as ARNs for policies, as refusals where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, finds_resources, judges
from colonnade.kernel.policy import Decision, Kind, parse
from colonnade.kernel.ports import Principals
from colonnade.kernel.store import Key, Reader, Scope, Stored


def topics(call: Call) -> Scope:
    return call.scope("topic")


def arn_of(key: Key) -> str:
    """Of a topic, or of a subscription, whose key is `<topic>/<id>`."""
    return str(Arn(key.partition, "sns", key.region, key.account, key.name.replace("/", ":")))


def topic_key(arn: str, *, member: str = "TopicArn") -> Key:
    """Raises InvalidParameter for what is no topic's ARN."""
    parsed = _parsed(arn, member)
    if ":" in parsed.resource:
        raise invalid(
            f"Invalid parameter: {member} Reason: An ARN must have at least 6 elements, not {arn.count(':') + 1}"
        )
    return Key(parsed.partition, parsed.account, parsed.region, "sns", "topic", parsed.resource)


def subscription_key(arn: str) -> Key:
    parsed = _parsed(arn, "SubscriptionArn")
    topic, _, id = parsed.resource.partition(":")
    if not id:
        raise invalid("Invalid parameter: SubscriptionArn Reason: An ARN must have at least 7 elements")
    return Key(parsed.partition, parsed.account, parsed.region, "sns", "subscription", f"{topic}/{id}")


def _parsed(arn: str, member: str) -> Arn:
    try:
        parsed = Arn.parse(arn)
    except ValueError as error:
        raise invalid(f"Invalid parameter: {member} Reason: {error}") from None
    if parsed.service != "sns":
        raise invalid(f"Invalid parameter: {member} Reason: {arn} is not an ARN of SNS")
    return parsed


def find_topic(reader: Reader, key: Key) -> Stored:
    stored = reader.get(key)
    if stored is None:
        raise ServiceError("NotFound", "Topic does not exist", status=404)
    return stored


def find_subscription(reader: Reader, key: Key) -> Stored:
    stored = reader.get(key)
    if stored is None:
        raise ServiceError("NotFound", "Subscription does not exist", status=404)
    return stored


def subscriptions_of(topic: Key) -> tuple[Scope, str]:
    """Their scope and the beginning of their names."""
    return Scope(topic.partition, topic.account, topic.region, "sns", "subscription"), f"{topic.name}/"


def invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameter", message, status=400)


@finds_resources("sns")
def target(call: Call) -> str:
    """Policies speak of topics: also what is done to a subscription is done to its topic."""
    given = call.parameters
    if "SubscriptionArn" in given:
        return str(given["SubscriptionArn"]).rpartition(":")[0]
    if "Name" in given:
        return arn_of(topics(call).key(given["Name"]))
    return str(given.get("TopicArn") or given.get("TargetArn") or given.get("ResourceArn") or "*")


@judges("sns")
def judge(call: Call, action: str, resource: str, context: Mapping[str, Any] | None) -> Decision:
    """The caller's policies, and the topic's own where it has one."""
    principals = call.platform.the(Principals)
    policy = _policy(call, resource)
    if not policy:
        return principals.decide(call.principal, action, resource, context)
    return principals.decide_with(
        call.principal, action, resource, parse(policy, Kind.RESOURCE, "Policy"), context
    )


def _policy(call: Call, resource: str) -> str:
    if resource == "*":
        return ""
    try:
        key = topic_key(resource)
    except ServiceError:
        return ""
    with call.platform.store.read() as reader:
        stored = reader.get(key)
    return "" if stored is None else str(stored.document["attributes"].get("Policy", ""))
