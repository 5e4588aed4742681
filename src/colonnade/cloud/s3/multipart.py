"""Multipart uploads: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload, ListParts,
ListMultipartUploads.

Each part is a blob; completing joins them into one, so that an object is always one file that jobs can be given. Until the
index commits that, parts and upload stay as they were, and completing can be asked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from colonnade.cloud.s3 import checksums, encryption, requests
from colonnade.cloud.s3.access import on_bucket, on_new_object, on_object
from colonnade.cloud.s3.bucket import owner
from colonnade.cloud.s3.content import Received, receive
from colonnade.cloud.s3.crc import CRC32
from colonnade.cloud.s3.encryption import Lock
from colonnade.cloud.s3.index import (
    ObjectRecord,
    Part,
    Upload,
    UploadedPart,
    bucket_of,
    document,
    parts,
    uploads,
)
from colonnade.cloud.s3.listing import common_prefix, encoded
from colonnade.cloud.s3.objects import check_new, checksum_members, quoted, replace_object
from colonnade.cloud.s3.refusals import invalid_argument, refusal
from colonnade.cloud.s3.versions import Change
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Key, Query, Reader, Transaction, each
from colonnade.objects import Blob, ObjectStore

LEAST = 5 * 1024**2
"""Bytes in every part but the last."""
_COMPOSITES = ("CRC32", "CRC32C", "SHA1", "SHA256", "SHA512", "MD5")


@operation("s3", "CreateMultipartUpload", demand=on_new_object)
def create(call: Call) -> Result:
    parameters = call.parameters
    lock = encryption.lock(call, check_new(call), parameters["Key"])
    algorithm = str(parameters.get("ChecksumAlgorithm", "")).upper()
    upload = Upload(
        key=parameters["Key"],
        id=call.platform.ids.uuid().replace("-", ""),
        initiated=float(int(call.now)),
        initiator=call.principal.arn,
        headers=requests.headers(parameters),
        metadata=requests.metadata(parameters),
        tags=requests.tags_of_header(parameters),
        algorithm=algorithm,
        checksum_type=_checksum_type(algorithm, parameters.get("ChecksumType", "")),
        encryption=lock.encryption if lock else None,
    )
    with call.platform.store.write() as transaction:
        bucket = bucket_of(transaction, call).name
        transaction.put(_upload_key(call, bucket, upload.key, upload.id), document(upload), at=call.now)
    result = {"Bucket": bucket, "Key": upload.key, "UploadId": upload.id}
    if algorithm:
        result |= {"ChecksumAlgorithm": algorithm, "ChecksumType": upload.checksum_type}
    return {**result, **encryption.members(call, upload.encryption, with_context=True)}


def _checksum_type(algorithm: str, said: str) -> str:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html"""
    if not algorithm:
        if said:
            raise refusal(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )
        return ""
    checksums.begin(algorithm)
    chosen = said or ("COMPOSITE" if algorithm in _COMPOSITES else "FULL_OBJECT")
    if (chosen == "COMPOSITE" and algorithm not in _COMPOSITES) or (
        chosen == "FULL_OBJECT" and not checksums.can_join(algorithm)
    ):
        what = f"The {chosen} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        raise refusal("InvalidRequest", what)
    return chosen


@operation("s3", "UploadPart", demand=on_object("PutObject"))
def upload_part(call: Call) -> Result:
    check_part_number(call)
    requests.check_options(call.parameters)
    upload = upload_of(call)
    said = checksums.wanted(call.parameters)
    if said and upload.algorithm and said != upload.algorithm:
        raise refusal(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, actual checksum Type: "
            f"{said.lower()}",
        )
    lock = lock_of(call, upload)
    seal = lock.key if lock else b""
    received = receive(call.platform.the(ObjectStore), call.parameters, algorithm=upload.algorithm, seal=seal)
    part = keep_part(call, received, lock)
    result = {"ETag": quoted(part.etag), **encryption.members(call, upload.encryption)}
    if received.checksum:
        result[checksums.member(received.algorithm)] = received.checksum
    return result


def check_part_number(call: Call) -> None:
    number = call.parameters["PartNumber"]
    if not 1 <= number <= 10_000:
        what = "Part number must be an integer between 1 and 10000, inclusive"
        raise invalid_argument(what, "partNumber", number)


def lock_of(call: Call, upload: Upload) -> Lock | None:
    """What the parts of an encrypted upload are sealed with; as when reading, KMS is asked for Decrypt."""
    if upload.encryption is None:
        encryption.check_customer_key(call, None)
        return None
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
    return encryption.unlock(call, bucket.region, bucket.name, upload.key, upload.encryption)


def upload_of(call: Call) -> Upload:
    with call.platform.store.read() as reader:
        return _find(reader, call)


def _find(reader: Reader, call: Call) -> Upload:
    bucket = bucket_of(reader, call).name
    stored = reader.get(_upload_key(call, bucket, call.parameters["Key"], call.parameters["UploadId"]))
    if stored is None:
        raise refusal("NoSuchUpload", UploadId=call.parameters["UploadId"])
    return msgspec.convert(stored.document, Upload)


def _upload_key(call: Call, bucket: str, key: str, id: str) -> Key:
    return uploads(call.partition, bucket).key(f"{key}\0{id}")


def _part_key(call: Call, number: int) -> Key:
    name = f"{call.parameters['UploadId']}/{number:05}"
    return parts(call.partition, call.parameters["Bucket"]).key(name)


def keep_part(call: Call, received: Received, lock: Lock | None) -> UploadedPart:
    """The part in the index; what had its number before is deleted."""
    blobs = call.platform.the(ObjectStore)
    number = call.parameters["PartNumber"]
    try:
        with call.platform.store.write() as transaction:
            upload = _find(transaction, call)
            part = UploadedPart(
                number=number,
                blob=received.blob,
                size=received.size,
                etag=lock.etag(received.md5) if lock else received.md5.hex(),
                crc32=received.crc32,
                checksum=received.checksum if received.algorithm == upload.algorithm else "",
                modified=float(int(call.now)),
            )
            old = transaction.get(_part_key(call, number))
            transaction.put(_part_key(call, number), document(part), at=call.now)
    except BaseException:
        blobs.delete(received.blob)
        raise
    if old is not None:
        blobs.delete(msgspec.convert(old.document, UploadedPart).blob)
    return part


def _parts_of(reader: Reader, call: Call) -> list[UploadedPart]:
    query = Query(name_prefix=f"{call.parameters['UploadId']}/")
    rows = each(reader, parts(call.partition, call.parameters["Bucket"]), query)
    return [msgspec.convert(row.document, UploadedPart) for row in rows]


@operation("s3", "CompleteMultipartUpload", demand=on_object("PutObject"))
def complete(call: Call) -> Result:
    requests.check_options(call.parameters)
    with call.platform.store.read() as reader:
        upload = _find(reader, call)
        uploaded = _parts_of(reader, call)
    chosen = _chosen(call, upload, uploaded)
    checksum = _checksum(upload, chosen)
    _verify_whole(call, upload, chosen, checksum)
    blobs = call.platform.the(ObjectStore)
    whole = _join(call, upload, chosen)
    new = _joined(call, upload, chosen, whole.id, checksum)
    try:
        with call.platform.store.write() as transaction:
            change = _finish(transaction, call, chosen, new)
    except BaseException:
        blobs.delete(whole.id)
        raise
    for blob in (*(part.blob for part in uploaded), *change.blobs):
        blobs.delete(blob)
    bucket, key = call.parameters["Bucket"], upload.key
    location = f"http://{call.details.get('host', 's3.amazonaws.com')}/{bucket}/{key}"
    told = checksum_members(new) if upload.algorithm else {}
    told |= encryption.members(call, new.encryption)
    if change.version:
        told["VersionId"] = change.version
    return {"Location": location, "Bucket": bucket, "Key": key, "ETag": quoted(new.etag), **told}


def _join(call: Call, upload: Upload, chosen: Sequence[UploadedPart]) -> Blob:
    """Raises what S3 says when the parts go away meanwhile: completed or aborted by another call, or uploaded anew."""
    try:
        return call.platform.the(ObjectStore).join([part.blob for part in chosen])
    except FileNotFoundError:
        upload_of(call)
        raise refusal("InvalidPart", UploadId=upload.id) from None


def _chosen(call: Call, upload: Upload, uploaded: Sequence[UploadedPart]) -> list[UploadedPart]:
    """The parts that the client lists, each as it says it to be."""
    asked = (call.parameters.get("MultipartUpload") or {}).get("Parts") or []
    if not asked:
        raise refusal("MalformedXML")
    numbers = [entry["PartNumber"] for entry in asked]
    if any(first >= second for first, second in pairwise(numbers)):
        raise refusal("InvalidPartOrder", UploadId=upload.id)
    by_number = {part.number: part for part in uploaded}
    chosen = [_agreed(entry, by_number.get(entry["PartNumber"]), upload) for entry in asked]
    for part in chosen[:-1]:
        if part.size < LEAST:
            raise refusal(
                "EntityTooSmall",
                ProposedSize=str(part.size),
                MinSizeAllowed=str(LEAST),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    return chosen


def _agreed(entry: Mapping[str, Any], part: UploadedPart | None, upload: Upload) -> UploadedPart:
    etag = str(entry.get("ETag", "")).strip('"')
    said = checksums.given(entry)
    if (
        part is None
        or etag != part.etag
        or (said is not None and upload.algorithm and said != (upload.algorithm, part.checksum))
    ):
        raise refusal("InvalidPart", UploadId=upload.id, PartNumber=str(entry["PartNumber"]), ETag=etag)
    return part


def _checksum(upload: Upload, chosen: Sequence[UploadedPart]) -> str:
    if not upload.algorithm:
        return ""
    if upload.checksum_type == "COMPOSITE":
        return checksums.composite(upload.algorithm, [part.checksum for part in chosen])
    return checksums.joined(upload.algorithm, [(part.checksum, part.size) for part in chosen])


def _verify_whole(call: Call, upload: Upload, chosen: Sequence[UploadedPart], checksum: str) -> None:
    said = checksums.given(call.parameters)
    if said is not None and upload.algorithm:
        algorithm, value = said
        if algorithm != upload.algorithm or value.partition("-")[0] != checksum.partition("-")[0]:
            raise refusal(
                "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
            )
    size = sum(part.size for part in chosen)
    if call.parameters.get("MpuObjectSize", size) != size:
        what = f"The provided 'x-amz-mp-object-size' header does not match what was computed: {size} bytes"
        raise refusal("InvalidRequest", what)


def _joined(
    call: Call, upload: Upload, chosen: Sequence[UploadedPart], blob: str, checksum: str
) -> ObjectRecord:
    md5 = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in chosen), usedforsecurity=False)
    crc32 = 0
    for part in chosen:
        crc32 = CRC32.combine(crc32, part.crc32, part.size)
    return ObjectRecord(
        blob=blob,
        size=sum(part.size for part in chosen),
        etag=f"{md5.hexdigest()}-{len(chosen)}",
        crc32=crc32,
        modified=float(int(call.now)),
        headers=upload.headers,
        metadata=upload.metadata,
        tags=upload.tags,
        algorithm=upload.algorithm,
        checksum=checksum,
        checksum_type=upload.checksum_type or "FULL_OBJECT",
        encryption=upload.encryption,
        parts=[Part(part.size, part.checksum) for part in chosen],
    )


def _finish(
    transaction: Transaction, call: Call, chosen: Sequence[UploadedPart], new: ObjectRecord
) -> Change:
    """Upload and parts become the object. Raises InvalidPart when a part was uploaded anew meanwhile."""
    upload = _find(transaction, call)
    now = {part.number: part for part in _parts_of(transaction, call)}
    for part in chosen:
        if now.get(part.number) != part:
            raise refusal("InvalidPart", UploadId=upload.id, PartNumber=str(part.number), ETag=part.etag)
    change = replace_object(transaction, call, new)
    _forget(transaction, call, upload, now)
    return change


def _forget(
    transaction: Transaction, call: Call, upload: Upload, numbers: Mapping[int, UploadedPart]
) -> None:
    transaction.delete(_upload_key(call, call.parameters["Bucket"], upload.key, upload.id))
    for number in numbers:
        transaction.delete(_part_key(call, number))


@operation("s3", "AbortMultipartUpload", demand=on_object("AbortMultipartUpload"))
def abort(call: Call) -> Result:
    with call.platform.store.write() as transaction:
        upload = _find(transaction, call)
        uploaded = _parts_of(transaction, call)
        _forget(transaction, call, upload, {part.number: part for part in uploaded})
    for part in uploaded:
        call.platform.the(ObjectStore).delete(part.blob)
    return {}


@operation("s3", "ListParts", demand=on_object("ListMultipartUploadParts"))
def list_parts(call: Call) -> Result:
    parameters = call.parameters
    limit = requests.number(parameters, "MaxParts", 1000)
    after = requests.marker(parameters, "PartNumberMarker")
    with call.platform.store.read() as reader:
        upload = _find(reader, call)
        found = [part for part in _parts_of(reader, call) if part.number > after]
    shown = found[:limit]
    result: dict[str, Any] = {
        "Bucket": parameters["Bucket"],
        "Key": upload.key,
        "UploadId": upload.id,
        "PartNumberMarker": after,
        "NextPartNumberMarker": shown[-1].number if shown else 0,
        "MaxParts": limit,
        "IsTruncated": len(found) > limit,
        "Initiator": {"ID": upload.initiator},
        "Owner": owner(call),
        "StorageClass": "STANDARD",
    }
    if upload.algorithm:
        result |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
    return {**result, "Parts": [_listed_part(part, upload) for part in shown]} if shown else result


def _listed_part(part: UploadedPart, upload: Upload) -> dict[str, Any]:
    listed = {
        "PartNumber": part.number,
        "LastModified": part.modified,
        "ETag": quoted(part.etag),
        "Size": part.size,
    }
    return {**listed, checksums.member(upload.algorithm): part.checksum} if part.checksum else listed


@operation("s3", "ListMultipartUploads", demand=on_bucket("ListBucketMultipartUploads"))
def list_uploads(call: Call) -> Result:
    parameters = call.parameters
    prefix, delimiter = parameters.get("Prefix") or "", parameters.get("Delimiter") or ""
    limit = requests.number(parameters, "MaxUploads", 1000)
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call).name
        rows = list(each(reader, uploads(call.partition, bucket), Query(name_prefix=prefix)))
    under_way = [msgspec.convert(row.document, Upload) for row in rows]
    entries = _folded(under_way, prefix, delimiter, _marker(parameters))
    shown = entries[:limit]
    result: dict[str, Any] = {
        "Bucket": bucket,
        "KeyMarker": parameters.get("KeyMarker", ""),
        "UploadIdMarker": parameters.get("UploadIdMarker", ""),
        "Prefix": prefix,
        "MaxUploads": limit,
        "IsTruncated": len(entries) > limit,
    }
    if delimiter:
        result["Delimiter"] = delimiter
    if len(entries) > limit and shown:
        last = shown[-1]
        result["NextKeyMarker"] = last if isinstance(last, str) else last.key
        result["NextUploadIdMarker"] = "" if isinstance(last, str) else last.id
    singles = [entry for entry in shown if isinstance(entry, Upload)]
    common = [entry for entry in shown if isinstance(entry, str)]
    if singles:
        result["Uploads"] = [_listed_upload(call, upload) for upload in singles]
    if common:
        result["CommonPrefixes"] = [{"Prefix": text} for text in common]
    return encoded(parameters, result)


def _marker(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """(key, upload id): only what is greater is listed. A key marker alone leaves out all uploads of that key."""
    key = parameters.get("KeyMarker") or ""
    return key, (parameters.get("UploadIdMarker") or "\U0010ffff") if key else ""


def _folded(
    under_way: Sequence[Upload], prefix: str, delimiter: str, marker: tuple[str, str]
) -> list[Upload | str]:
    entries: list[Upload | str] = []
    for upload in under_way:
        common = common_prefix(upload.key, prefix, delimiter)
        if (common and common <= marker[0]) or (not common and (upload.key, upload.id) <= marker):
            continue
        if not common:
            entries.append(upload)
        elif common not in entries[-1:]:
            entries.append(common)
    return entries


def _listed_upload(call: Call, upload: Upload) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "UploadId": upload.id,
        "Key": upload.key,
        "Initiated": upload.initiated,
        "StorageClass": "STANDARD",
        "Owner": owner(call),
        "Initiator": {"ID": upload.initiator},
    }
    if upload.algorithm:
        listed |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
    return listed
