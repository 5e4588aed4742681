"""What subscribers get: SNS's JSON around a message, signed so that they can tell it from anybody else's."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from colonnade.cloud.sns.deliveries import CONFIRMATION
from colonnade.cloud.sns.named import arn_of, topic_key
from colonnade.cloud.sns.signing import sign
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import ServerAddress
from colonnade.kernel.store import Stored

_SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
CERTIFICATE = "/_colonnade/sns/certificate.pem"
CONFIRM = "/_colonnade/sns/confirm"
UNSUBSCRIBE = "/_colonnade/sns/unsubscribe"


def envelope(platform: Platform, subscription: Stored, delivery: Mapping[str, Any]) -> str:
    message, address = delivery["message"], platform.the(ServerAddress).url
    topic = arn_of(subscription.key).rpartition(":")[0]
    text = message["by_protocol"].get(
        subscription.document["Protocol"], message["by_protocol"].get("default", message["message"])
    )
    token = subscription.document["token"]
    said: dict[str, Any] = {"Type": delivery["kind"], "MessageId": message["id"], "TopicArn": topic}
    if message["subject"]:
        said["Subject"] = message["subject"]
    if delivery["kind"] == CONFIRMATION:
        query = urlencode({"TopicArn": topic, "Token": token})
        said |= {"Token": token, "SubscribeURL": f"{address}{CONFIRM}?{query}"}
    said |= {"Message": text, "Timestamp": _instant(delivery["published"])}
    version = _version(platform, topic)
    said |= {"SignatureVersion": version, "Signature": sign(platform, _text(said), version)}
    said["SigningCertURL"] = f"{address}{CERTIFICATE}"
    if delivery["kind"] != CONFIRMATION:
        query = urlencode({"SubscriptionArn": arn_of(subscription.key), "Token": token})
        said["UnsubscribeURL"] = f"{address}{UNSUBSCRIBE}?{query}"
        if message["attributes"]:
            said["MessageAttributes"] = {
                name: {"Type": kind, "Value": value} for name, (kind, value) in message["attributes"].items()
            }
    return json.dumps(said)


def _version(platform: Platform, topic_arn: str) -> str:
    with platform.store.read() as reader:
        stored = reader.get(topic_key(topic_arn))
    return "1" if stored is None else str(stored.document["attributes"].get("SignatureVersion", "1"))


def _text(said: Mapping[str, str]) -> str:
    """What the signature covers: names and values by turns, a line each, in the order of names."""
    return "".join(f"{name}\n{said[name]}\n" for name in _SIGNED if name in said)


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def attributes_for_queue(attributes: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """A raw message takes its attributes along."""
    found: dict[str, dict[str, Any]] = {}
    for name, (kind, value) in attributes.items():
        if kind.startswith("Binary"):
            found[name] = {"DataType": kind, "BinaryValue": base64.b64decode(value)}
        else:
            found[name] = {"DataType": "String" if kind == "String.Array" else kind, "StringValue": value}
    return found
