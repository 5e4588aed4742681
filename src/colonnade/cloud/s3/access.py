"""Which IAM actions on which ARNs an S3 operation needs: its own names differ (HeadObject asks for s3:GetObject)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel.operations import Call, Demand

Demands = Sequence[tuple[str, str]]


def bucket_arn(call: Call, bucket: str) -> str:
    return f"arn:{call.partition}:s3:::{bucket}"


def object_arn(call: Call, bucket: str, key: str) -> str:
    return f"arn:{call.partition}:s3:::{bucket}/{key}"


def on_bucket(*actions: str) -> Demand:
    def demand(call: Call) -> Demands:
        arn = bucket_arn(call, call.parameters["Bucket"])
        return [(f"s3:{action}", arn) for action in actions]

    return demand


def on_object(*actions: str) -> Demand:
    def demand(call: Call) -> Demands:
        arn = object_arn(call, call.parameters["Bucket"], call.parameters["Key"])
        return [(f"s3:{action}", arn) for action in actions]

    return demand


def on_version(*actions: str) -> Demand:
    """`on_object`, where a version that the call names takes an action of its own: GetObject, GetObjectVersion."""
    plain = on_object(*actions)
    of_version = on_object(*(action.replace("Object", "ObjectVersion") for action in actions))
    return lambda call: (of_version if call.parameters.get("VersionId") else plain)(call)


def on_all(action: str) -> Demand:
    return lambda call: [(f"s3:{action}", "*")]


def on_new_object(call: Call) -> Demands:
    """Writing; with tags, tagging too."""
    tagged = on_object("PutObjectTagging")(call) if call.parameters.get("Tagging") else []
    return [*on_object("PutObject")(call), *tagged]


def listed(call: Call) -> Mapping[str, Any]:
    """What policies on ListBucket ask for. A listing without a prefix lists everything: its prefix is the empty one."""
    given = {"s3:prefix": call.parameters.get("Prefix", "")}
    for member, key in (("Delimiter", "s3:delimiter"), ("MaxKeys", "s3:max-keys")):
        if member in call.parameters:
            given[key] = str(call.parameters[member])
    return given
