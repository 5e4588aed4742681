"""GetKeyPolicy, PutKeyPolicy, ListKeyPolicies: a key has one policy, named default."""

from __future__ import annotations

import json

from colonnade.cloud.kms.access import OF_KEY, OF_REQUEST
from colonnade.cloud.kms.keys import change, find, own
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.policy import Kind, MalformedPolicyDocument, parse
from colonnade.kernel.ports import Principals
from colonnade.kernel.store import Document

_CONDITIONS = (
    "kms:calleraccount",
    "kms:viaservice",
    "kms:requestalias",
    "kms:encryptioncontext:",
    "kms:encryptioncontextkeys",
    "kms:grantisforawsresource",
    *(name.lower() for name in (*OF_KEY, *OF_REQUEST)),
)


def account_policy(partition: str, account: str) -> str:
    """The usual one: the account's IAM policies decide."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]})


def service_policy(partition: str, account: str, region: str, service: str) -> str:
    """Of a key that AWS manages: whoever may use the service in this account may use the key through it, and only so."""
    through = {
        "Sid": f"Allow access through {service} for all principals in the account that are authorized to use {service}",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:ViaService": f"{service}.{region}.amazonaws.com",
                "kms:CallerAccount": account,
            }
        },
    }
    look = {
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-2", "Statement": [through, look]})


def checked(text: str) -> str:
    """Raises MalformedPolicyDocumentException."""
    try:
        policy = parse(text, Kind.RESOURCE)
    except MalformedPolicyDocument as error:
        raise ServiceError("MalformedPolicyDocumentException", error.message) from None
    for name in policy.condition_names:
        if name.lower().startswith("kms:") and not name.lower().startswith(_CONDITIONS):
            raise ServiceError(
                "NotImplementedException",
                f"Colonnade's KMS does not know the condition key {name} yet, so that a policy with it would not hold: leave it out.",
                status=501,
            )
    return text


def locked_out(call: Call, document: Document) -> None:
    """Raises for a policy under which the caller could never change it again."""
    policy = parse(document["_Policy"], Kind.RESOURCE)
    principals = call.platform.the(Principals)
    if not principals.decide_with(
        call.principal, "kms:PutKeyPolicy", document["Arn"], policy, alone=True
    ).allowed:
        raise ServiceError(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future. Allow kms:PutKeyPolicy to yourself or "
            "the account, or set BypassPolicyLockoutSafetyCheck.",
        )


def _check_name(call: Call) -> None:
    name = call.parameters.get("PolicyName", "default")
    if name != "default":
        raise ServiceError(
            "NotFoundException", f"No such policy exists: {name}. A key's policy is named default."
        )


@operation("kms", "GetKeyPolicy")
def get(call: Call) -> Result:
    _check_name(call)
    with call.platform.store.read() as reader:
        stored = find(reader, call, call.parameters["KeyId"])
    return {"Policy": stored.document["_Policy"], "PolicyName": "default"}


@operation("kms", "ListKeyPolicies")
def list_all(call: Call) -> Result:
    with call.platform.store.read() as reader:
        find(reader, call, call.parameters["KeyId"])
    return {"PolicyNames": ["default"], "Truncated": False}


@operation("kms", "PutKeyPolicy")
def put(call: Call) -> Result:
    _check_name(call)
    text = checked(call.parameters["Policy"])
    with call.platform.store.read() as reader:
        document = find(reader, call, call.parameters["KeyId"]).document
    if not call.parameters.get("BypassPolicyLockoutSafetyCheck"):
        locked_out(call, {**document, "_Policy": text})
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        change(transaction, stored, {**own(stored), "_Policy": text}, at=call.now)
    return {}
