"""CreateKey, DescribeKey, ListKeys, UpdateKeyDescription."""

from __future__ import annotations

from typing import Any

from colonnade.cloud.kms import material
from colonnade.cloud.kms.access import anywhere
from colonnade.cloud.kms.key_policies import account_policy, checked, locked_out
from colonnade.cloud.kms.keys import ALGORITHMS, algorithms, arn_of, change, find, keys, own, page
from colonnade.cloud.kms.tags import checked_tags
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.platform import Platform
from colonnade.kernel.store import Document, Key, Stored

_USAGES = {"S": "ENCRYPT_DECRYPT", "R": "", "E": "SIGN_VERIFY", "H": "GENERATE_VERIFY_MAC"}
"""By the spec's first letter: the only usage there is; RSA has two and must say which."""


@operation("kms", "CreateKey", demand=anywhere("CreateKey"))
def create(call: Call) -> Result:
    parameters = call.parameters
    spec = parameters.get("KeySpec") or parameters.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    usage = _usage(spec, parameters.get("KeyUsage", ""))
    if parameters.get("Origin", "AWS_KMS") != "AWS_KMS" or parameters.get("CustomKeyStoreId"):
        raise _unsupported("key material that comes from elsewhere (Origin)")
    if parameters.get("MultiRegion"):
        raise _unsupported("multi-Region keys (MultiRegion)")
    key = keys(call.partition, call.account, call.region).key(call.platform.ids.uuid())
    document = new(
        call.platform, key, spec, usage, at=call.now, description=parameters.get("Description", "")
    )
    document["_Tags"] = checked_tags(parameters.get("Tags") or [], {})
    if "Policy" in parameters:
        document["_Policy"] = checked(parameters["Policy"])
        if not parameters.get("BypassPolicyLockoutSafetyCheck"):
            locked_out(call, document)
    with call.write() as transaction:
        transaction.put(key, document, expect=0, at=call.now, status=document["KeyState"])
    return {"KeyMetadata": told(document)}


def new(
    platform: Platform,
    key: Key,
    spec: str,
    usage: str,
    *,
    at: float,
    description: str = "",
    manager: str = "CUSTOMER",
) -> Document:
    """The document of a key with fresh material; whoever made it keeps it."""
    member, able = algorithms(spec, usage)
    document: Document = {
        "AWSAccountId": key.account,
        "KeyId": key.name,
        "Arn": arn_of(key),
        "CreationDate": at,
        "Description": description,
        "KeyUsage": usage,
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": manager,
        "KeySpec": spec,
        "CustomerMasterKeySpec": spec,
        member: list(able),
        "MultiRegion": False,
        "_Policy": account_policy(key.partition, key.account),
        "_Tags": {},
    }
    material.add(platform, document, material.make(spec), at=at)
    return document


def _usage(spec: str, said: str) -> str:
    if not any(spec.startswith(known) for known in (*ALGORITHMS, "RSA_")):
        raise _unsupported(f"the key spec {spec}")
    usage = _USAGES[spec[0]] or said
    if not usage:
        raise validation(f"You must specify a KeyUsage value for an asymmetric CMK of spec {spec}.")
    if said == "KEY_AGREEMENT":
        raise _unsupported("key agreement (KeyUsage KEY_AGREEMENT)")
    if said not in ("", usage) or (
        spec.startswith("RSA_") and usage not in ("ENCRYPT_DECRYPT", "SIGN_VERIFY")
    ):
        raise validation(f"KeyUsage {said} is not compatible with KeySpec {spec}.")
    return usage


def _unsupported(what: str) -> ServiceError:
    return ServiceError(
        "NotImplementedException", f"Colonnade's KMS does not implement {what} yet. Leave it out.", status=501
    )


def told(document: Document) -> dict[str, Any]:
    metadata = {name: value for name, value in document.items() if not name.startswith("_")}
    return {**metadata, "Enabled": document["KeyState"] == "Enabled"}


@operation("kms", "DescribeKey")
def describe(call: Call) -> Result:
    return {"KeyMetadata": told(look_up(call).document)}


def look_up(call: Call) -> Stored:
    with call.platform.store.read() as reader:
        return find(reader, call, call.parameters["KeyId"])


@operation("kms", "ListKeys", demand=anywhere("ListKeys"))
def list_all(call: Call) -> Result:
    with call.platform.store.read() as reader:
        rows, more = page(call, reader, keys(call.partition, call.account, call.region))
    return {"Keys": [{"KeyId": row.key.name, "KeyArn": row.document["Arn"]} for row in rows], **more}


@operation("kms", "UpdateKeyDescription")
def update_description(call: Call) -> Result:
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        document = {**own(stored), "Description": call.parameters["Description"]}
        change(transaction, stored, document, at=call.now)
    return {}
