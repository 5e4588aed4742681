"""Tags of objects and of buckets."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from colonnade.cloud.s3 import requests, versions
from colonnade.cloud.s3.access import on_bucket, on_version
from colonnade.cloud.s3.index import Bucket, bucket_of, put_bucket
from colonnade.cloud.s3.objects import find_asked, version_members
from colonnade.cloud.s3.refusals import refusal
from colonnade.kernel.operations import Call, Result, operation


@operation("s3", "PutObjectTagging", demand=on_version("PutObjectTagging"))
def put_object_tagging(call: Call) -> Result:
    tags = requests.checked_tags(list(call.parameters["Tagging"].get("TagSet") or []), most=10)
    return _set_object_tags(call, tags)


@operation("s3", "DeleteObjectTagging", demand=on_version("DeleteObjectTagging"))
def delete_object_tagging(call: Call) -> Result:
    return _set_object_tags(call, {})


def _set_object_tags(call: Call, tags: Mapping[str, str]) -> Result:
    with call.platform.store.write() as transaction:
        bucket = bucket_of(transaction, call)
        found = find_asked(transaction, call, bucket)
        new = msgspec.structs.replace(found, tags=dict(tags))
        versions.replace(transaction, call, bucket.name, call.parameters["Key"], new)
    return version_members(call, found)


@operation("s3", "GetObjectTagging", demand=on_version("GetObjectTagging"))
def get_object_tagging(call: Call) -> Result:
    with call.platform.store.read() as reader:
        found = find_asked(reader, call, bucket_of(reader, call))
    return {"TagSet": requests.tag_set(found.tags), **version_members(call, found)}


@operation("s3", "PutBucketTagging", demand=on_bucket("PutBucketTagging"))
def put_bucket_tagging(call: Call) -> Result:
    _set_bucket_tags(
        call, requests.checked_tags(list(call.parameters["Tagging"].get("TagSet") or []), most=50)
    )
    return {}


@operation("s3", "DeleteBucketTagging", demand=on_bucket("PutBucketTagging"))
def delete_bucket_tagging(call: Call) -> Result:
    _set_bucket_tags(call, {})
    return {}


def _set_bucket_tags(call: Call, tags: dict[str, str]) -> None:
    with call.write() as transaction:
        bucket: Bucket = msgspec.structs.replace(bucket_of(transaction, call), tags=tags)
        put_bucket(transaction, call, bucket)


@operation("s3", "GetBucketTagging", demand=on_bucket("GetBucketTagging"))
def get_bucket_tagging(call: Call) -> Result:
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
    if not bucket.tags:
        raise refusal("NoSuchTagSet", BucketName=bucket.name)
    return {"TagSet": requests.tag_set(bucket.tags)}
