"""CopyObject and UploadPartCopy: the kernel copies the bytes (or shares them, where the file system can)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from colonnade.cloud.s3 import checksums, encryption, ranges, requests, versions
from colonnade.cloud.s3.access import object_arn, on_new_object
from colonnade.cloud.s3.conditions import check_copying
from colonnade.cloud.s3.content import MOST, Pieces, Received, reading, receive
from colonnade.cloud.s3.encryption import Lock
from colonnade.cloud.s3.index import Bucket, ObjectRecord, find_bucket, find_object
from colonnade.cloud.s3.multipart import check_part_number, keep_part, lock_of, upload_of
from colonnade.cloud.s3.objects import check_new, checksum_members, keep, quoted
from colonnade.cloud.s3.refusals import invalid_argument, refusal
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Reader
from colonnade.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Source:
    bucket: str
    key: str
    version: str


def source_of(call: Call) -> Source:
    """`bucket/key`, percent-encoded, perhaps with a slash in front and `?versionId=` behind."""
    text = str(call.parameters["CopySource"])
    path, _, query = text.partition("?")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    if not slash or not bucket or not key:
        what = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise invalid_argument(what, "x-amz-copy-source", text)
    return Source(bucket, key, query.removeprefix("versionId="))


def _demand(call: Call) -> Sequence[tuple[str, str]]:
    source = source_of(call)
    action = "s3:GetObjectVersion" if source.version else "s3:GetObject"
    return [(action, object_arn(call, source.bucket, source.key)), *on_new_object(call)]


@operation("s3", "CopyObject", demand=_demand)
def copy(call: Call) -> Result:
    parameters = call.parameters
    bucket = check_new(call)
    replaces = parameters.get("MetadataDirective", "COPY") == "REPLACE"
    source = source_of(call)
    itself = not source.version and (source.bucket, source.key) == (parameters["Bucket"], parameters["Key"])
    if itself and not replaces and not _changes_encryption(call, bucket):
        raise refusal(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's "
            "metadata, storage class, website redirect location or encryption attributes.",
        )
    found = _find(call, source)
    if found.size > MOST:
        what = (
            f"The specified copy source is larger than the maximum allowable size for a copy source: {MOST}"
        )
        raise refusal("InvalidRequest", what)
    new, small = _copied(call, found, encryption.lock(call, bucket, parameters["Key"]))
    if replaces:
        new = msgspec.structs.replace(
            new, headers=requests.headers(parameters), metadata=requests.metadata(parameters)
        )
    if parameters.get("TaggingDirective", "COPY") == "REPLACE":
        new = msgspec.structs.replace(new, tags=requests.tags_of_header(parameters))
    told = keep(call, msgspec.structs.replace(new, version=""), small)
    if found.version:
        told["CopySourceVersionId"] = found.version
    return {
        "CopyObjectResult": {"ETag": quoted(new.etag), "LastModified": new.modified, **checksum_members(new)},
        **encryption.members(call, new.encryption, with_context=True),
        **told,
    }


def _changes_encryption(call: Call, bucket: Bucket) -> bool:
    asked = ("ServerSideEncryption", "SSECustomerAlgorithm", "CopySourceSSECustomerAlgorithm")
    return bucket.encryption is not None or any(member in call.parameters for member in asked)


def _find(call: Call, source: Source) -> ObjectRecord:
    with call.platform.store.read() as reader:
        find_bucket(reader, call, source.bucket, owner=call.parameters.get("ExpectedSourceBucketOwner"))
        if source.version:
            found = versions.find(reader, call, source.bucket, source.key, source.version)
        else:
            found = find_object(reader, call, source.bucket, source.key)
    encryption.check_customer_key(call, found.encryption, prefix="CopySource")
    check_copying(call.parameters, found)
    return found


def _copied(call: Call, found: ObjectRecord, lock: Lock | None) -> tuple[ObjectRecord, bytes | None]:
    """As a new object with bytes of its own, which are told when they are small. One made of parts becomes whole, so that its ETag is an MD5 again."""
    wanted = str(call.parameters.get("ChecksumAlgorithm", "")).upper() or found.algorithm
    modified = float(int(call.now))
    plain = lock is None and found.encryption is None
    if plain and not found.parts and wanted == found.algorithm and not found.content:
        try:
            blob = call.platform.the(ObjectStore).join([found.blob])
        except FileNotFoundError:
            raise _gone(call) from None
        return msgspec.structs.replace(found, blob=blob.id, modified=modified), None
    seal = lock.key if lock else b""
    received = _read_again(call, found, 0, found.size, wanted, keep_small=False, seal=seal)
    new = msgspec.structs.replace(
        found,
        blob=received.blob,
        content=0,
        etag=lock.etag(received.md5) if lock else received.md5.hex(),
        encryption=lock.encryption if lock else None,
        crc32=received.crc32,
        algorithm=received.algorithm,
        checksum=received.checksum,
        checksum_type="FULL_OBJECT",
        parts=[],
        modified=modified,
    )
    return new, received.small


def _read_again(
    call: Call,
    found: ObjectRecord,
    first: int,
    length: int,
    algorithm: str,
    *,
    keep_small: bool = True,
    seal: bytes = b"",
) -> Received:
    blobs = call.platform.the(ObjectStore)
    try:
        with call.platform.store.read() as reader:
            key = _source_key(call, reader, found)
            source = reading(blobs, reader, found, first, length, key=key)
    except FileNotFoundError:
        raise _gone(call) from None
    with closing(source):
        body = {"Body": Pieces(source)}
        return receive(blobs, body, algorithm=algorithm, keep_small=keep_small, seal=seal)


def _source_key(call: Call, reader: Reader, found: ObjectRecord) -> bytes:
    if found.encryption is None:
        return b""
    source = source_of(call)
    region = find_bucket(reader, call, source.bucket).region
    return encryption.unlock(
        call, region, source.bucket, source.key, found.encryption, prefix="CopySource"
    ).key


def _gone(call: Call) -> Exception:
    return refusal(
        "NoSuchKey", "The source was deleted or replaced during the copy.", Key=source_of(call).key
    )


@operation("s3", "UploadPartCopy", demand=_demand)
def copy_part(call: Call) -> Result:
    check_part_number(call)
    upload = upload_of(call)
    found = _find(call, source_of(call))
    first, last = _copied_range(call, found)
    lock = lock_of(call, upload)
    seal = lock.key if lock else b""
    received = _read_again(call, found, first, last - first + 1, upload.algorithm, seal=seal)
    part = keep_part(call, received, lock)
    result: dict[str, Any] = {"ETag": quoted(part.etag), "LastModified": part.modified}
    if part.checksum:
        result[checksums.member(upload.algorithm)] = part.checksum
    return {"CopyPartResult": result, **encryption.members(call, upload.encryption)}


def _copied_range(call: Call, found: ObjectRecord) -> tuple[int, int]:
    text = call.parameters.get("CopySourceRange")
    if text is None:
        return 0, found.size - 1
    part = ranges.resolve(text, found.size)
    if (
        part is None
        or not text.removeprefix("bytes=").split("-")[0]
        or int(text.rpartition("-")[2] or -1) != part[1]
    ):
        what = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
        what += "zero-based offsets of the first and last bytes to copy"
        raise invalid_argument(what, "x-amz-copy-source-range", text)
    return part
