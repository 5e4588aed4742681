"""What a bucket can be set to where only one value is true: reading tells it, writing anything else is refused. Nothing is public in
Colonnade, so that of the blocks of public access only that of public policies has something to refuse.
"""

from __future__ import annotations

from typing import Any

import msgspec

from colonnade.cloud.s3 import requests
from colonnade.cloud.s3.access import on_bucket, on_version
from colonnade.cloud.s3.bucket import owner
from colonnade.cloud.s3.index import bucket_of, put_bucket
from colonnade.cloud.s3.objects import find_asked
from colonnade.cloud.s3.refusals import not_built, refusal
from colonnade.kernel.operations import Call, Effect, Result, operation

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@operation("s3", "PutPublicAccessBlock", effect=Effect.STORED, demand=on_bucket("PutBucketPublicAccessBlock"))
def put_public_access_block(call: Call) -> Result:
    given = call.parameters["PublicAccessBlockConfiguration"]
    _remember_block(call, {name: bool(given.get(name, False)) for name in _BLOCKS})
    return {}


@operation(
    "s3", "DeletePublicAccessBlock", effect=Effect.STORED, demand=on_bucket("PutBucketPublicAccessBlock")
)
def delete_public_access_block(call: Call) -> Result:
    _remember_block(call, None)
    return {}


def _remember_block(call: Call, block: dict[str, bool] | None) -> None:
    with call.write() as transaction:
        bucket = msgspec.structs.replace(bucket_of(transaction, call), public_access_block=block)
        put_bucket(transaction, call, bucket)


@operation("s3", "GetPublicAccessBlock", effect=Effect.STORED, demand=on_bucket("GetBucketPublicAccessBlock"))
def get_public_access_block(call: Call) -> Result:
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
    if bucket.public_access_block is None:
        raise refusal("NoSuchPublicAccessBlockConfiguration", BucketName=bucket.name)
    return {"PublicAccessBlockConfiguration": bucket.public_access_block}


@operation("s3", "GetBucketOwnershipControls", demand=on_bucket("GetBucketOwnershipControls"))
def get_ownership(call: Call) -> Result:
    _exists(call)
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}


@operation("s3", "PutBucketOwnershipControls", demand=on_bucket("PutBucketOwnershipControls"))
def put_ownership(call: Call) -> Result:
    rules = call.parameters["OwnershipControls"].get("Rules") or []
    if [rule.get("ObjectOwnership") for rule in rules] != ["BucketOwnerEnforced"]:
        raise not_built("ACLs (ObjectOwnership other than BucketOwnerEnforced)")
    with call.write() as transaction:
        bucket_of(transaction, call)
    return {}


@operation("s3", "GetBucketAcl", demand=on_bucket("GetBucketAcl"))
def get_bucket_acl(call: Call) -> Result:
    _exists(call)
    return _owner_only(call)


@operation("s3", "PutBucketAcl", demand=on_bucket("PutBucketAcl"))
def put_bucket_acl(call: Call) -> Result:
    _check_acl(call)
    with call.write() as transaction:
        bucket_of(transaction, call)
    return {}


@operation("s3", "GetObjectAcl", demand=on_version("GetObjectAcl"))
def get_object_acl(call: Call) -> Result:
    _object_exists(call)
    return _owner_only(call)


@operation("s3", "PutObjectAcl", demand=on_version("PutObjectAcl"))
def put_object_acl(call: Call) -> Result:
    _check_acl(call)
    _object_exists(call)
    return {}


def _check_acl(call: Call) -> None:
    """Only what says no more than that the owner may do all."""
    requests.check_options(call.parameters)
    if call.parameters.get("AccessControlPolicy"):
        raise refusal("AccessControlListNotSupported")


def _owner_only(call: Call) -> dict[str, Any]:
    grantee = {**owner(call), "Type": "CanonicalUser"}
    return {"Owner": owner(call), "Grants": [{"Grantee": grantee, "Permission": "FULL_CONTROL"}]}


@operation("s3", "GetBucketNotificationConfiguration", demand=on_bucket("GetBucketNotification"))
def get_notification(call: Call) -> Result:
    _exists(call)
    return {}


@operation("s3", "GetBucketLogging", demand=on_bucket("GetBucketLogging"))
def get_logging(call: Call) -> Result:
    _exists(call)
    return {}


@operation("s3", "GetBucketRequestPayment", demand=on_bucket("GetBucketRequestPayment"))
def get_request_payment(call: Call) -> Result:
    _exists(call)
    return {"Payer": "BucketOwner"}


def _exists(call: Call) -> None:
    with call.platform.store.read() as reader:
        bucket_of(reader, call)


def _object_exists(call: Call) -> None:
    with call.platform.store.read() as reader:
        find_asked(reader, call, bucket_of(reader, call))
