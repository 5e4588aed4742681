"""How S3 remembers: one document per bucket, object, multipart upload and part.

All in a scope without account or region, since bucket names are global. The name of an object's document is its key, so the
store's order is S3's. Typed here, JSON in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from colonnade.cloud.s3.refusals import refusal
from colonnade.kernel.operations import Call
from colonnade.kernel.store import Reader, Scope, Stored, Transaction


class Bucket(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    account: str
    """The owner's."""
    region: str
    created: float
    tags: dict[str, str] = {}
    public_access_block: dict[str, bool] | None = None
    encryption: dict[str, Any] | None = None
    """The default of new objects: SSEAlgorithm, KMSMasterKeyID, BucketKeyEnabled."""
    policy: str = ""
    """JSON, as it was put."""
    versioning: str = ""
    """Enabled or Suspended; empty when it never was enabled."""
    cors: list[dict[str, Any]] = []
    """Rules, as they were put."""
    lifecycle: list[dict[str, Any]] = []
    """Rules, as they were put."""
    lifecycle_due: float = 0.0
    """When they are looked at next."""


class Encryption(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of an object's or an upload's bytes: how its data key is kept."""

    kind: str
    """AES256, aws:kms or SSE-C."""
    wrapped: str
    """Base64 of the data key, encrypted under S3's, KMS's or the customer's key."""
    key_arn: str = ""
    """KMS's."""
    context: dict[str, str] = {}
    """The encryption context of the wrapped key."""
    bucket_key: bool = False


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of a finished multipart upload: what PartNumber and GetObjectAttributes tell."""

    size: int
    checksum: str = ""
    """Of the object's algorithm; empty where it has none."""


class ObjectRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    blob: str
    """Empty for small objects, whose bytes are a content of the store."""
    size: int
    etag: str
    """Without quotes: MD5, or MD5 of the parts' MD5s with `-<number of parts>`."""
    crc32: int
    """Of all bytes, for our own use: reading checks it."""
    modified: float
    """Whole seconds, as S3 tells and compares them."""
    headers: dict[str, Any] = {}
    """ContentType, CacheControl, ... as given; Expires as epoch seconds."""
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    algorithm: str = ""
    """Of the checksum that the client asked for: CRC32, SHA256, ..."""
    checksum: str = ""
    """Base64; for composite ones with `-<number of parts>`."""
    checksum_type: str = "FULL_OBJECT"
    parts: list[Part] = []
    encryption: Encryption | None = None
    version: str = ""
    """Empty for the null version: put without versioning."""
    content: int = 0
    """The number of a small object's bytes in the store; 0 for those with a blob."""


class Upload(msgspec.Struct, frozen=True, omit_defaults=True):
    """A multipart upload under way."""

    key: str
    id: str
    initiated: float
    initiator: str
    """ARN of who began it."""
    headers: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    algorithm: str = ""
    checksum_type: str = ""
    encryption: Encryption | None = None


class UploadedPart(msgspec.Struct, frozen=True, omit_defaults=True):
    number: int
    blob: str
    size: int
    etag: str
    crc32: int
    modified: float
    checksum: str = ""
    """Of the upload's algorithm, base64; empty where it has none."""


def buckets(partition: str) -> Scope:
    return Scope(partition, "", "", "s3", "bucket")


def objects(partition: str, bucket: str) -> Scope:
    return Scope(partition, "", "", "s3", f"object/{bucket}")


def versions(partition: str, bucket: str) -> Scope:
    """What is not current, named `<key>\\0<number>`, so that it lies by key, newest first."""
    return Scope(partition, "", "", "s3", f"version/{bucket}")


def uploads(partition: str, bucket: str) -> Scope:
    """Named `<key>\\0<upload id>`, so that they are listed by key."""
    return Scope(partition, "", "", "s3", f"upload/{bucket}")


def parts(partition: str, bucket: str) -> Scope:
    """Named `<upload id>/<part number in five digits>`."""
    return Scope(partition, "", "", "s3", f"part/{bucket}")


def find_bucket(reader: Reader, call: Call, name: str, *, owner: str | None = None) -> Bucket:
    """Raises NoSuchBucket; AccessDenied when it belongs to another account, or to another than `owner` says."""
    stored = reader.get(buckets(call.partition).key(name))
    if stored is None:
        raise refusal("NoSuchBucket", BucketName=name)
    bucket = msgspec.convert(stored.document, Bucket)
    if call.account != bucket.account or owner not in (None, bucket.account):
        raise refusal("AccessDenied")
    return bucket


def bucket_of(reader: Reader, call: Call) -> Bucket:
    """The bucket that the call names."""
    return find_bucket(
        reader, call, call.parameters["Bucket"], owner=call.parameters.get("ExpectedBucketOwner")
    )


def find_object(reader: Reader, call: Call, bucket: str, key: str) -> ObjectRecord:
    """Raises NoSuchKey."""
    stored = reader.get(objects(call.partition, bucket).key(key))
    if stored is None:
        raise refusal("NoSuchKey", Key=key)
    return record(stored)


def record(stored: Stored) -> ObjectRecord:
    return msgspec.convert(stored.document, ObjectRecord)


def put_bucket(transaction: Transaction, call: Call, bucket: Bucket) -> None:
    """Those with lifecycle rules have the reconciler's attention."""
    key = buckets(call.partition).key(bucket.name)
    transaction.put(key, document(bucket), at=call.now, active=bool(bucket.lifecycle))


def put_object(transaction: Transaction, call: Call, bucket: str, key: str, new: ObjectRecord) -> None:
    transaction.put(objects(call.partition, bucket).key(key), document(new), at=call.now)


def document(row: msgspec.Struct) -> Mapping[str, Any]:
    """Without what is as usual: documents of small objects stay small."""
    built: dict[str, Any] = msgspec.to_builtins(row)
    return built
