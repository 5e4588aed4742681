"""PutObject, GetObject, HeadObject, GetObjectAttributes, DeleteObject, DeleteObjects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from colonnade.cloud.s3 import checksums, encryption, ranges, requests, versions
from colonnade.cloud.s3.access import bucket_arn, object_arn, on_new_object, on_version
from colonnade.cloud.s3.conditions import check_reading, check_writing
from colonnade.cloud.s3.content import Download, reading, receive
from colonnade.cloud.s3.index import Bucket, ObjectRecord, bucket_of, find_object, objects, record
from colonnade.cloud.s3.refusals import invalid_argument, refusal
from colonnade.cloud.s3.versions import Change
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation, ruling
from colonnade.kernel.store import Reader, Transaction
from colonnade.objects import ObjectStore


@operation("s3", "PutObject", demand=on_new_object)
def put(call: Call) -> Result:
    parameters = call.parameters
    lock = encryption.lock(call, check_new(call), parameters["Key"])
    blobs = call.platform.the(ObjectStore)
    received = receive(blobs, parameters, keep_small=False, seal=lock.key if lock else b"")
    new = ObjectRecord(
        blob=received.blob,
        size=received.size,
        etag=lock.etag(received.md5) if lock else received.md5.hex(),
        crc32=received.crc32,
        modified=float(int(call.now)),
        headers=requests.headers(parameters),
        metadata=requests.metadata(parameters),
        tags=requests.tags_of_header(parameters),
        algorithm=received.algorithm,
        checksum=received.checksum,
        encryption=lock.encryption if lock else None,
    )
    version = keep(call, new, received.small)
    told = encryption.members(call, new.encryption, with_context=True)
    return {"ETag": quoted(new.etag), **checksum_members(new), **told, **version}


def check_new(call: Call) -> Bucket:
    """All that can be refused before a byte is read. Answers the bucket."""
    parameters = call.parameters
    requests.check_options(parameters)
    requests.check_key(parameters["Key"])
    requests.metadata(parameters)
    requests.tags_of_header(parameters)
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
        if "IfMatch" in parameters or "IfNoneMatch" in parameters:
            stored = reader.get(objects(call.partition, bucket.name).key(parameters["Key"]))
            check_writing(parameters, parameters["Key"], record(stored) if stored else None)
    return bucket


def keep(call: Call, new: ObjectRecord, small: bytes | None = None) -> dict[str, str]:
    """Put the record, and its bytes if they are `small`, under the call's key. Its blob goes when that fails, its
    predecessor's when it is done. Answers what is told of its version."""
    blobs = call.platform.the(ObjectStore)
    try:
        with call.platform.store.write() as transaction:
            if small is not None:
                new = msgspec.structs.replace(new, content=transaction.add_content(small))
            change = replace_object(transaction, call, new)
    except BaseException:
        if new.blob:
            blobs.delete(new.blob)
        raise
    for blob in change.blobs:
        blobs.delete(blob)
    return {"VersionId": change.version} if change.version else {}


def replace_object(transaction: Transaction, call: Call, new: ObjectRecord) -> Change:
    """The bucket and the conditions are asked again, now that nobody else writes."""
    bucket, key = bucket_of(transaction, call), call.parameters["Key"]
    stored = transaction.get(objects(call.partition, bucket.name).key(key))
    check_writing(call.parameters, key, record(stored) if stored else None)
    return versions.put(transaction, call, bucket, key, new, stored)


def _get_small(call: Call) -> Result | None:
    """What lies in the store and needs no key is there at once."""
    with call.platform.store.read() as reader:
        found = find_readable(call, reader)
        return _got(call, reader, found) if found.content and found.encryption is None else None


@operation("s3", "GetObject", demand=on_version("GetObject"), at_once=_get_small)
def get(call: Call) -> Result:
    for _ in range(10):
        with call.platform.store.read() as reader:
            try:
                return _got(call, reader, find_readable(call, reader))
            except FileNotFoundError:
                continue  # Replaced between the two looks: the new one will be there.
    raise ServiceError(
        "InternalError",
        f"The bytes of {call.parameters['Bucket']}/{call.parameters['Key']} are missing on disk. Put the object again, or "
        "restore a backup of the data folder.",
        status=500,
    )


def _got(call: Call, reader: Reader, found: ObjectRecord) -> Result:
    """Raises FileNotFoundError when the bytes have gone meanwhile."""
    check_reading(call.parameters, found)
    part = _part(call, found)
    first, last = part or (0, found.size - 1)
    key = data_key(call, reader, found)
    source = reading(call.platform.the(ObjectStore), reader, found, first, last - first + 1, key=key)
    return {**describe(call, found, part), "Body": Download(found, source).checked()}


@operation("s3", "HeadObject", demand=on_version("GetObject"), quick=True)
def head(call: Call) -> Result:
    found = look_up(call)
    check_reading(call.parameters, found)
    return describe(call, found, _part(call, found))


def data_key(call: Call, reader: Reader, found: ObjectRecord) -> bytes:
    """Of an encrypted object, where the caller may have it; empty for others."""
    if found.encryption is None:
        return b""
    bucket = bucket_of(reader, call)
    return encryption.unlock(call, bucket.region, bucket.name, call.parameters["Key"], found.encryption).key


def look_up(call: Call) -> ObjectRecord:
    with call.platform.store.read() as reader:
        return find_readable(call, reader)


def find_readable(call: Call, reader: Reader) -> ObjectRecord:
    """Raises NoSuchKey only to those who may know which keys there are."""
    requests.check_options(call.parameters)
    bucket = bucket_of(reader, call)
    try:
        found = find_asked(reader, call, bucket)
    except ServiceError:
        if not ruling(call, "s3:ListBucket", bucket_arn(call, bucket.name)).allowed:
            raise refusal("AccessDenied") from None
        raise
    encryption.check_customer_key(call, found.encryption)
    return found


def find_asked(reader: Reader, call: Call, bucket: Bucket) -> ObjectRecord:
    """The version that the call names, or the current one."""
    key, version = call.parameters["Key"], call.parameters.get("VersionId")
    if version:
        return versions.find(reader, call, bucket.name, key, version)
    try:
        return find_object(reader, call, bucket.name, key)
    except ServiceError:
        marker = versions.marker_of(reader, call, bucket.name, key) if bucket.versioning else ""
        if marker:
            raise refusal("NoSuchKey", Key=key, DeleteMarker=True, VersionId=marker) from None
        raise


def _part(call: Call, found: ObjectRecord) -> tuple[int, int] | None:
    """The bytes that Range or PartNumber mean; None for all."""
    number = call.parameters.get("PartNumber")
    if number is None:
        return ranges.resolve(call.parameters.get("Range"), found.size)
    if "Range" in call.parameters:
        raise refusal("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    sizes = [part.size for part in found.parts] or [found.size]
    if not 1 <= number <= len(sizes):
        raise refusal("InvalidPartNumber", ActualPartCount=str(len(sizes)), PartNumberRequested=str(number))
    first = sum(sizes[: number - 1])
    return (first, first + sizes[number - 1] - 1) if sizes[number - 1] else None


_OVERRIDES = {f"Response{name}": name for name in requests.HEADERS}


def describe(call: Call, found: ObjectRecord, part: tuple[int, int] | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": found.modified,
        "ContentLength": found.size,
        "ETag": quoted(found.etag),
        "ContentType": "binary/octet-stream",
        **found.headers,
        **encryption.members(call, found.encryption),
        **version_members(call, found),
    }
    if found.metadata:
        result["Metadata"] = found.metadata
    if found.tags:
        result["TagCount"] = len(found.tags)
    for override, name in _OVERRIDES.items():
        if override in call.parameters:
            result[name] = call.parameters[override]
    if "PartNumber" in call.parameters and found.parts:
        result["PartsCount"] = len(found.parts)
    if part is not None:
        first, last = part
        result["ContentLength"] = last - first + 1
        result["ContentRange"] = f"bytes {first}-{last}/{found.size}"
    if call.parameters.get("ChecksumMode") == "ENABLED" and result["ContentLength"] == found.size:
        result.update(checksum_members(found))
    return result


def version_members(call: Call, found: ObjectRecord) -> dict[str, str]:
    if found.version or call.parameters.get("VersionId"):
        return {"VersionId": versions.told(found.version)}
    return {}


def quoted(etag: str) -> str:
    return f'"{etag}"'


def checksum_members(found: ObjectRecord) -> dict[str, str]:
    """What the client asked for at writing; CRC32, which is always known, when it asked for none."""
    if found.checksum:
        return {checksums.member(found.algorithm): found.checksum, "ChecksumType": found.checksum_type}
    return {"ChecksumCRC32": checksums.text(found.crc32.to_bytes(4, "big")), "ChecksumType": "FULL_OBJECT"}


@operation("s3", "GetObjectAttributes", demand=on_version("GetObject", "GetObjectAttributes"))
def attributes(call: Call) -> Result:
    found = look_up(call)
    known: dict[str, Any] = {
        "ETag": found.etag,
        "Checksum": checksum_members(found),
        "ObjectParts": _object_parts(call, found),
        "StorageClass": "STANDARD",
        "ObjectSize": found.size,
    }
    asked = [name.strip() for text in call.parameters["ObjectAttributes"] for name in str(text).split(",")]
    for name in asked:
        if name not in known:
            raise invalid_argument("Invalid attribute name specified.", "x-amz-object-attributes", name)
    chosen = {name: known[name] for name in asked if known[name] is not None}
    return {"LastModified": found.modified, **chosen, **version_members(call, found)}


def _object_parts(call: Call, found: ObjectRecord) -> Mapping[str, Any] | None:
    if not found.parts:
        return None
    result: dict[str, Any] = {"TotalPartsCount": len(found.parts)}
    if found.checksum_type != "COMPOSITE":
        return result
    after = requests.marker(call.parameters, "PartNumberMarker")
    limit = requests.number(call.parameters, "MaxParts", 1000)
    shown = list(enumerate(found.parts, start=1))[after : after + limit]
    return {
        **result,
        "PartNumberMarker": after,
        "NextPartNumberMarker": shown[-1][0] if shown else after,
        "MaxParts": limit,
        "IsTruncated": after + len(shown) < len(found.parts),
        "Parts": [
            {"PartNumber": number, "Size": part.size, checksums.member(found.algorithm): part.checksum}
            for number, part in shown
        ],
    }


@operation("s3", "DeleteObject", demand=on_version("DeleteObject"))
def delete(call: Call) -> Result:
    requests.check_options(call.parameters)
    with call.platform.store.write() as transaction:
        change = remove_from(transaction, call, call.parameters["Key"], call.parameters)
    for blob in change.blobs:
        call.platform.the(ObjectStore).delete(blob)
    told: dict[str, Any] = {"VersionId": change.version} if change.version else {}
    return {**told, "DeleteMarker": True} if change.marker else told


def remove_from(transaction: Transaction, call: Call, key: str, asked: Mapping[str, Any]) -> Change:
    bucket = bucket_of(transaction, call)
    stored = transaction.get(objects(call.partition, bucket.name).key(key))
    current = record(stored) if stored else None
    check_writing({name: value for name, value in asked.items() if name == "IfMatch"}, key, current)
    version = asked.get("VersionId")
    if version:
        return versions.remove_version(transaction, call, bucket, key, version, stored)
    return versions.remove(transaction, call, bucket, key, stored)


@operation("s3", "DeleteObjects", demand=lambda call: [])
def delete_many(call: Call) -> Result:
    """Each key is authorised by itself, and told by itself when it is refused."""
    requests.check_options(call.parameters)
    asked = call.parameters["Delete"]
    entries = asked.get("Objects") or []
    if not 0 < len(entries) <= 1000:
        raise refusal("MalformedXML")
    allowed = [entry for entry in entries if _may_delete(call, entry)]
    deleted, errors, blobs = _delete_all(call, allowed)
    for blob in blobs:
        call.platform.the(ObjectStore).delete(blob)
    refused = [entry for entry in entries if entry not in allowed]
    errors += [{**_named(entry), "Code": "AccessDenied", "Message": "Access Denied"} for entry in refused]
    result: dict[str, Any] = {} if asked.get("Quiet") or not deleted else {"Deleted": deleted}
    return {**result, "Errors": errors} if errors else result


def _may_delete(call: Call, entry: Mapping[str, Any]) -> bool:
    arn = object_arn(call, call.parameters["Bucket"], entry["Key"])
    action = "s3:DeleteObjectVersion" if entry.get("VersionId") else "s3:DeleteObject"
    return ruling(call, action, arn).allowed


def _delete_all(
    call: Call, entries: list[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    deleted: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    blobs: list[str] = []
    with call.platform.store.write() as transaction:
        bucket_of(transaction, call)
        for entry in entries:
            asked = {**_named(entry), **({"IfMatch": entry["ETag"]} if "ETag" in entry else {})}
            try:
                change = remove_from(transaction, call, entry["Key"], asked)
            except ServiceError as error:
                errors.append({**_named(entry), "Code": error.code, "Message": error.message})
                continue
            told = _named(entry)
            if change.marker:
                told |= {"DeleteMarker": True, "DeleteMarkerVersionId": change.version}
            deleted.append(told)
            blobs += change.blobs
    return deleted, errors, blobs


def _named(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("Key", "VersionId") if entry.get(name)}
