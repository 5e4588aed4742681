"""CreateBucket, HeadBucket, DeleteBucket, ListBuckets, GetBucketLocation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Any

import msgspec

from colonnade.cloud.s3 import requests
from colonnade.cloud.s3.access import on_all, on_bucket
from colonnade.cloud.s3.index import (
    Bucket,
    UploadedPart,
    bucket_of,
    buckets,
    document,
    objects,
    parts,
    uploads,
    versions,
)
from colonnade.cloud.s3.policies import changed
from colonnade.cloud.s3.refusals import not_built, refusal
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.store import Query, Transaction, each
from colonnade.objects import ObjectStore

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FORBIDDEN = re.compile(
    r"\.\.|\.-|-\.|^xn--|^sthree-|^amzn-s3-demo-|-s3alias$|--ol-s3$|\.mrap$|--x-s3$|--table-s3$"
)


@operation("s3", "CreateBucket", demand=on_bucket("CreateBucket"))
def create(call: Call) -> Result:
    name = call.parameters["Bucket"]
    check_name(name)
    requests.check_options(call.parameters)
    if call.parameters.get("ObjectLockEnabledForBucket"):
        raise not_built("object lock (ObjectLockEnabledForBucket)")
    if call.parameters.get("ObjectOwnership", "BucketOwnerEnforced") != "BucketOwnerEnforced":
        raise not_built("ACLs (ObjectOwnership other than BucketOwnerEnforced)")
    wanted = call.parameters.get("CreateBucketConfiguration") or {}
    tags = requests.checked_tags(list(wanted.get("Tags") or []), most=50)
    bucket = Bucket(name, call.account, _region(call, wanted), float(int(call.now)), tags)
    with call.write() as transaction:
        _check_free(transaction, call, name)
        transaction.put(buckets(call.partition).key(name), document(bucket), at=call.now, expect=0)
    arn = f"arn:{call.partition}:s3:::{name}"
    location = f"/{name}" if bucket.region == "us-east-1" else f"http://{name}.s3.amazonaws.com/"
    return {"Location": location, "BucketArn": arn}


def check_name(name: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    if not _NAME.fullmatch(name) or _FORBIDDEN.search(name) or _is_address(name):
        raise refusal("InvalidBucketName", BucketName=name)


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True


def _region(call: Call, wanted: Mapping[str, Any]) -> str:
    """The endpoint's region is the bucket's. From us-east-1 any other may be asked for; elsewhere it must be said."""
    said = wanted.get("LocationConstraint")
    said = "eu-west-1" if said == "EU" else said
    if wanted.get("Location") or wanted.get("Bucket"):
        raise not_built("directory buckets (CreateBucketConfiguration.Location)")
    if said == "us-east-1":
        raise refusal("InvalidLocationConstraint", LocationConstraint=said)
    if call.region == "us-east-1":
        return said or "us-east-1"
    if said != call.region:
        what = f"The {said or 'unspecified'} location constraint is incompatible for the region specific endpoint this request was sent to."
        raise refusal("IllegalLocationConstraintException", what)
    return call.region


def _check_free(transaction: Transaction, call: Call, name: str) -> None:
    stored = transaction.get(buckets(call.partition).key(name))
    if stored is not None:
        mine = stored.document["account"] == call.account
        raise refusal("BucketAlreadyOwnedByYou" if mine else "BucketAlreadyExists", BucketName=name)


@operation("s3", "HeadBucket", demand=on_bucket("ListBucket"), quick=True)
def head(call: Call) -> Result:
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
    return {
        "BucketRegion": bucket.region,
        "AccessPointAlias": False,
        "BucketArn": f"arn:{call.partition}:s3:::{bucket.name}",
    }


@operation("s3", "GetBucketLocation", demand=on_bucket("GetBucketLocation"))
def location(call: Call) -> Result:
    with call.platform.store.read() as reader:
        region = bucket_of(reader, call).region
    return {} if region == "us-east-1" else {"LocationConstraint": region}


@operation("s3", "DeleteBucket", demand=on_bucket("DeleteBucket"))
def delete(call: Call) -> Result:
    """Multipart uploads under way go with it; an object, or what is not yet listed of one, keeps it."""
    blobs: list[str] = []
    with call.write() as transaction:
        bucket = bucket_of(transaction, call)
        name = bucket.name
        kept = (objects(call.partition, name), versions(call.partition, name))
        if any(transaction.scan(scope, Query(limit=1)) for scope in kept):
            raise refusal("BucketNotEmpty", BucketName=name)
        for row in list(each(transaction, parts(call.partition, name))):
            blobs.append(msgspec.convert(row.document, UploadedPart).blob)
            transaction.delete(row.key)
        for row in list(each(transaction, uploads(call.partition, name))):
            transaction.delete(row.key)
        transaction.delete(buckets(call.partition).key(name))
    for blob in blobs:
        call.platform.the(ObjectStore).delete(blob)
    if bucket.policy:
        changed(call.platform)
    return {}


@operation("s3", "ListBuckets", demand=on_all("ListAllMyBuckets"))
def list_all(call: Call) -> Result:
    parameters = call.parameters
    limit = requests.number(parameters, "MaxBuckets", 10_000)
    after = decode_token(parameters["ContinuationToken"]) if "ContinuationToken" in parameters else None
    query = Query(name_prefix=parameters.get("Prefix", ""), after=(after[0], after[0]) if after else None)
    with call.platform.store.read() as reader:
        found = [
            msgspec.convert(row.document, Bucket) for row in each(reader, buckets(call.partition), query)
        ]
    region = parameters.get("BucketRegion")
    mine = [b for b in found if b.account == call.account and region in (None, b.region)]
    result: dict[str, Any] = {"Buckets": [_listed(call, b) for b in mine[:limit]], "Owner": owner(call)}
    if "Prefix" in parameters:
        result["Prefix"] = parameters["Prefix"]
    if len(mine) > limit:
        result["ContinuationToken"] = encode_token([mine[limit - 1].name])
    return result


def _listed(call: Call, bucket: Bucket) -> dict[str, Any]:
    arn = f"arn:{call.partition}:s3:::{bucket.name}"
    return {
        "Name": bucket.name,
        "CreationDate": bucket.created,
        "BucketRegion": bucket.region,
        "BucketArn": arn,
    }


def owner(call: Call) -> dict[str, str]:
    """AWS gives an opaque canonical id; ours is the account's number."""
    return {"ID": call.account}
