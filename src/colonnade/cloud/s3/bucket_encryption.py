"""PutBucketEncryption, GetBucketEncryption, DeleteBucketEncryption: what new objects get whose request says nothing.

A bucket begins without. AWS encrypts there since 2023; here bytes lie plain until somebody asks, and nothing else is told: jobs read
plain objects in place.
"""

from __future__ import annotations

from typing import Any

import msgspec

from colonnade.cloud.s3.access import on_bucket
from colonnade.cloud.s3.encryption import KMS, check_kind
from colonnade.cloud.s3.index import bucket_of, put_bucket
from colonnade.cloud.s3.refusals import invalid_argument, not_built, refusal
from colonnade.kernel.operations import Call, Result, operation


@operation("s3", "PutBucketEncryption", demand=on_bucket("PutEncryptionConfiguration"))
def put(call: Call) -> Result:
    rules = call.parameters["ServerSideEncryptionConfiguration"].get("Rules") or []
    if len(rules) != 1 or "ApplyServerSideEncryptionByDefault" not in rules[0]:
        raise refusal("MalformedXML")
    if set((rules[0].get("BlockedEncryptionTypes") or {}).get("EncryptionType") or ()) - {"NONE"}:
        raise not_built("blocking kinds of encryption (BlockedEncryptionTypes)")
    default = dict(rules[0]["ApplyServerSideEncryptionByDefault"])
    check_kind(default["SSEAlgorithm"])
    if default.get("KMSMasterKeyID") and default["SSEAlgorithm"] != KMS:
        what = (
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        )
        raise invalid_argument(what, "ApplyServerSideEncryptionByDefault", default["SSEAlgorithm"])
    _remember(call, {**default, "BucketKeyEnabled": bool(rules[0].get("BucketKeyEnabled"))})
    return {}


@operation("s3", "DeleteBucketEncryption", demand=on_bucket("PutEncryptionConfiguration"))
def delete(call: Call) -> Result:
    _remember(call, None)
    return {}


def _remember(call: Call, encryption: dict[str, Any] | None) -> None:
    with call.write() as transaction:
        bucket = msgspec.structs.replace(bucket_of(transaction, call), encryption=encryption)
        put_bucket(transaction, call, bucket)


@operation("s3", "GetBucketEncryption", demand=on_bucket("GetEncryptionConfiguration"))
def get(call: Call) -> Result:
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
    if bucket.encryption is None:
        raise refusal("ServerSideEncryptionConfigurationNotFoundError", BucketName=bucket.name)
    default = {name: value for name, value in bucket.encryption.items() if name != "BucketKeyEnabled"}
    rule = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": bucket.encryption["BucketKeyEnabled"],
    }
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}
