"""PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus. `policies.py` decides by them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from colonnade.cloud.s3.access import bucket_arn, on_bucket
from colonnade.cloud.s3.index import bucket_of, put_bucket
from colonnade.cloud.s3.policies import KNOWN, changed
from colonnade.cloud.s3.refusals import not_built, refusal
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.policy import Kind, MalformedPolicyDocument, parse

_MOST = 20 * 1024
_LIMITING = frozenset(
    {
        "aws:sourceip",
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    }
)
"""Conditions on these make a policy for everybody one for some: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"""


@operation("s3", "PutBucketPolicy", demand=on_bucket("PutBucketPolicy"))
def put(call: Call) -> Result:
    text = _checked(call)
    with call.write() as transaction:
        bucket = bucket_of(transaction, call)
        if (bucket.public_access_block or {}).get("BlockPublicPolicy") and is_public(text):
            raise refusal(
                "AccessDenied",
                f"User: {call.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "
                f'"{bucket_arn(call, bucket.name)}" because public policies are prevented by the BlockPublicPolicy setting in S3 '
                "Block Public Access.",
            )
        new = msgspec.structs.replace(bucket, policy=text)
        put_bucket(transaction, call, new)
    changed(call.platform)
    return {}


def _checked(call: Call) -> str:
    """Raises MalformedPolicy."""
    text: str = call.parameters["Policy"]
    if len(text.encode()) > _MOST:
        raise refusal("MalformedPolicy", f"Policies must be at most {_MOST} bytes.")
    try:
        policy = parse(text, Kind.RESOURCE)
    except MalformedPolicyDocument as error:
        raise refusal("MalformedPolicy", error.message) from None
    known = {name.lower() for name in KNOWN}
    for name in policy.condition_names:
        if name.lower().startswith("s3:") and name.lower() not in known:
            raise not_built(f"the condition key {name}, so that a policy with it would not hold")
    arn = bucket_arn(call, call.parameters["Bucket"])
    for statement in policy.statements:
        for action in statement.actions:
            if not action.text.lower().startswith(("s3:", "*")):
                raise refusal("MalformedPolicy", f"Policy has invalid action: {action.text}")
        for resource in statement.resources:
            if (
                resource.text != "*"
                and resource.text != arn
                and not resource.text.startswith((f"{arn}/", f"{arn}*"))
            ):
                raise refusal(
                    "MalformedPolicy", f"Policy has invalid resource: {resource.text} is not of {arn}"
                )
    return text


def is_public(text: str) -> bool:
    """Whether a statement lets everybody in, whatever their account."""
    listed = json.loads(text)["Statement"]
    return any(_lets_everybody_in(each) for each in (listed if isinstance(listed, list) else [listed]))


def _lets_everybody_in(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    everybody = "NotPrincipal" in statement or "*" in (named if isinstance(named, list) else [named])
    return statement["Effect"] == "Allow" and everybody and not _limited(statement.get("Condition") or {})


def _limited(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(
        key.lower() in _LIMITING
        and not {"*", "0.0.0.0/0", "::/0"} & set(values if isinstance(values, list) else [values])
        for name, keys in conditions.items()
        for key, values in keys.items()
        if "Not" not in name and not name.endswith("IfExists") and name != "Null"
    )


@operation("s3", "GetBucketPolicy", demand=on_bucket("GetBucketPolicy"))
def get(call: Call) -> Result:
    return {"Policy": _policy(call)}


@operation("s3", "GetBucketPolicyStatus", demand=on_bucket("GetBucketPolicyStatus"))
def status(call: Call) -> Result:
    return {"PolicyStatus": {"IsPublic": is_public(_policy(call))}}


def _policy(call: Call) -> str:
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
    if not bucket.policy:
        raise refusal("NoSuchBucketPolicy", BucketName=bucket.name)
    return bucket.policy


@operation("s3", "DeleteBucketPolicy", demand=on_bucket("DeleteBucketPolicy"))
def delete(call: Call) -> Result:
    with call.write() as transaction:
        bucket = msgspec.structs.replace(bucket_of(transaction, call), policy="")
        put_bucket(transaction, call, bucket)
    changed(call.platform)
    return {}
