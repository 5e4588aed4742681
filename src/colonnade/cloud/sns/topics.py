"""Topics: made, listed, described, changed and deleted, with their tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from colonnade.cloud.sns.named import arn_of, find_topic, invalid, subscriptions_of, topic_key, topics
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.policy import Kind, MalformedPolicyDocument, parse
from colonnade.kernel.store import Document, Query, Reader, Stored, Transaction, each

PAGE = 100
_MOST_TAGS = 50
_CHANGEABLE = ("DisplayName", "Policy", "DeliveryPolicy", "SignatureVersion", "TracingConfig")
_NOT_YET = {
    "FifoTopic": "Use a standard topic.",
    "ContentBasedDeduplication": "Use a standard topic.",
    "KmsMasterKeyId": "Leave it out.",
    "ArchivePolicy": "Leave it out.",
}


@operation("sns", "CreateTopic")
def create_topic(call: Call) -> Result:
    name = call.parameters["Name"]
    if name.endswith(".fifo"):
        raise _not_yet("FIFO topics", "Use a standard topic.")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", name):
        raise invalid("Invalid parameter: Topic Name")
    if call.parameters.get("DataProtectionPolicy"):
        raise _not_yet("DataProtectionPolicy", "Leave it out.")
    attributes: dict[str, str] = {}
    for attribute, value in call.parameters.get("Attributes", {}).items():
        attributes.update(_checked(attribute, value))
    tags = {tag["Key"]: tag["Value"] for tag in call.parameters.get("Tags", [])}
    key = topics(call).key(name)
    with call.write() as transaction:
        before = transaction.get(key)
        if before is None:
            transaction.put(key, {"attributes": attributes, "tags": tags}, expect=0, at=call.now)
        elif any(before.document["attributes"].get(each) != value for each, value in attributes.items()):
            raise invalid(
                "Invalid parameter: Attributes Reason: Topic already exists with different attributes"
            )
        elif tags and before.document["tags"] != tags:
            raise invalid("Invalid parameter: Tags Reason: Topic already exists with different tags")
    return {"TopicArn": arn_of(key)}


def _checked(name: str, value: str) -> Mapping[str, str]:
    if name in _NOT_YET:
        if value in ("", "false"):
            return {}
        raise _not_yet(name, _NOT_YET[name])
    if name not in _CHANGEABLE:
        raise invalid("Invalid parameter: AttributeName")
    if name == "Policy" and value:
        try:
            parse(value, Kind.RESOURCE)
        except MalformedPolicyDocument as error:
            raise invalid(f"Invalid parameter: Policy Error: {error}") from None
    if name == "SignatureVersion" and value not in ("1", "2"):
        raise invalid("Invalid parameter: SignatureVersion Reason: give 1 or 2")
    return {name: value}


def _not_yet(what: str, remedy: str) -> ServiceError:
    return ServiceError(
        "NotImplementedException", f"Colonnade does not implement {what} of SNS yet. {remedy}", status=501
    )


@operation("sns", "DeleteTopic")
def delete_topic(call: Call) -> None:
    """Its subscriptions go with it, and with them what was on its way to them. Silent when there is none."""
    key = topic_key(call.parameters["TopicArn"])
    with call.write() as transaction:
        if transaction.delete(key):
            scope, prefix = subscriptions_of(key)
            for row in list(each(transaction, scope, Query(name_prefix=prefix))):
                remove_subscription(transaction, row)


def remove_subscription(transaction: Transaction, row: Stored) -> None:
    from colonnade.cloud.sns.deliveries import deliveries

    scope, prefix = deliveries(row.key)
    for delivery in list(each(transaction, scope, Query(name_prefix=prefix))):
        transaction.delete(delivery.key)
    transaction.delete(row.key)


@operation("sns", "ListTopics")
def list_topics(call: Call) -> Result:
    with call.platform.store.read() as reader:
        rows = reader.scan(topics(call), Query(after=after(call), limit=PAGE + 1))
    answer: dict[str, Any] = {"Topics": [{"TopicArn": arn_of(row.key)} for row in rows[:PAGE]]}
    if len(rows) > PAGE:
        answer["NextToken"] = encode_token([rows[PAGE - 1].key.name])
    return answer


def after(call: Call) -> tuple[str, str] | None:
    if not call.parameters.get("NextToken"):
        return None
    match decode_token(call.parameters["NextToken"]):
        case [str(name)]:
            return name, name
    raise invalid("Invalid parameter: NextToken")


@operation("sns", "GetTopicAttributes")
def get_topic_attributes(call: Call) -> Result:
    key = topic_key(call.parameters["TopicArn"])
    with call.platform.store.read() as reader:
        stored = find_topic(reader, key)
        confirmed, pending = _count(reader, stored)
    return {
        "Attributes": {
            "DisplayName": "",
            "Policy": "",
            "EffectiveDeliveryPolicy": '{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3}}}',
            **stored.document["attributes"],
            "TopicArn": arn_of(key),
            "Owner": key.account,
            "SubscriptionsConfirmed": str(confirmed),
            "SubscriptionsPending": str(pending),
            "SubscriptionsDeleted": "0",
        }
    }


def _count(reader: Reader, topic: Stored) -> tuple[int, int]:
    scope, prefix = subscriptions_of(topic.key)
    rows = list(each(reader, scope, Query(name_prefix=prefix)))
    confirmed = sum(bool(row.document["confirmed"]) for row in rows)
    return confirmed, len(rows) - confirmed


@operation("sns", "SetTopicAttributes")
def set_topic_attributes(call: Call) -> None:
    key = topic_key(call.parameters["TopicArn"])
    name, value = call.parameters["AttributeName"], call.parameters.get("AttributeValue", "")
    given = _checked(name, value)

    with call.write() as transaction:
        stored = find_topic(transaction, key)
        kept = {each: old for each, old in stored.document["attributes"].items() if each != name}
        changed = {**kept, **{each: new for each, new in given.items() if new}}
        transaction.put(key, {**stored.document, "attributes": changed}, at=call.now)


@operation("sns", "TagResource")
def tag_resource(call: Call) -> None:
    _change_tags(call, {tag["Key"]: tag["Value"] for tag in call.parameters["Tags"]}, [])


@operation("sns", "UntagResource")
def untag_resource(call: Call) -> None:
    _change_tags(call, {}, call.parameters["TagKeys"])


def _change_tags(call: Call, given: Mapping[str, str], gone: list[str]) -> None:
    key = topic_key(call.parameters["ResourceArn"], member="ResourceArn")
    with call.write() as transaction:
        document: Document = _tagged(transaction, key).document
        tags = {name: value for name, value in {**document["tags"], **given}.items() if name not in gone}
        if len(tags) > _MOST_TAGS:
            raise ServiceError("TagLimitExceeded", f"A topic has at most {_MOST_TAGS} tags, not {len(tags)}.")
        transaction.put(key, {**document, "tags": tags}, at=call.now)


@operation("sns", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> Result:
    key = topic_key(call.parameters["ResourceArn"], member="ResourceArn")
    with call.platform.store.read() as reader:
        tags = _tagged(reader, key).document["tags"]
    return {"Tags": [{"Key": name, "Value": value} for name, value in tags.items()]}


def _tagged(reader: Reader, key: Any) -> Stored:
    stored = reader.get(key)
    if stored is None:
        raise ServiceError("ResourceNotFound", "Resource does not exist", status=404)
    return stored
