"""Versions of objects: how a key's current one makes way, and comes back.

The current version lies where it always did, so that buckets without versioning, and all lists of current keys, know nothing of this. What
is not current lies in a scope of its own, newest first within each key: earlier versions, and the markers that deletions leave. A key
whose newest entry is a marker has no current version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from colonnade.cloud.s3.index import Bucket, ObjectRecord, document, objects, put_object, record, versions
from colonnade.cloud.s3.refusals import refusal
from colonnade.kernel.operations import Call
from colonnade.kernel.store import Query, Reader, Stored, Transaction, each

_LAST = (1 << 62) - 1


class Version(msgspec.Struct, frozen=True, omit_defaults=True):
    """One that is not current."""

    id: str
    """Empty for the null version: of a time without versioning."""
    modified: float
    record: ObjectRecord | None = None
    """None for a delete marker."""


@dataclass(slots=True)
class Change:
    """What became of a key."""

    version: str = ""
    """Of what was written or removed, as it is told; empty without versioning."""
    marker: bool = False
    """Whether a delete marker was made or removed."""
    blobs: list[str] = field(default_factory=list)
    """Those that nobody names any more."""


def told(version: str) -> str:
    return version or "null"


def put(
    transaction: Transaction, call: Call, bucket: Bucket, key: str, new: ObjectRecord, current: Stored | None
) -> Change:
    """Make it the current version; what was current before stays, or goes, as the bucket says."""
    change = Change()
    if bucket.versioning == "Enabled":
        new = msgspec.structs.replace(new, version=call.platform.ids.uuid().replace("-", ""))
        change.version = new.version
    _make_way(transaction, call, bucket, key, current, change)
    put_object(transaction, call, bucket.name, key, new)
    return change


def remove(transaction: Transaction, call: Call, bucket: Bucket, key: str, current: Stored | None) -> Change:
    """DeleteObject without a version: for good without versioning, else a marker is put before what was current."""
    change = Change()
    _make_way(transaction, call, bucket, key, current, change)
    if current is not None:
        transaction.delete(current.key)
    if bucket.versioning:
        id = call.platform.ids.uuid().replace("-", "") if bucket.versioning == "Enabled" else ""
        _set_aside(transaction, call, bucket, key, Version(id, float(int(call.now))))
        change.version, change.marker = told(id), True
    return change


def _make_way(
    transaction: Transaction, call: Call, bucket: Bucket, key: str, current: Stored | None, change: Change
) -> None:
    """Without versioning there is one version, the null one, and so there is where versioning is suspended."""
    before = record(current) if current is not None else None
    if bucket.versioning == "Suspended":
        for row, version in older(transaction, call, bucket.name, key):
            if not version.id:
                transaction.delete(row.key)
                _drop(transaction, version.record, change)
    if before is None:
        return
    if bucket.versioning == "Enabled" or (bucket.versioning and before.version):
        _set_aside(transaction, call, bucket, key, Version(before.version, before.modified, before))
    else:
        _drop(transaction, before, change)


def _set_aside(transaction: Transaction, call: Call, bucket: Bucket, key: str, version: Version) -> None:
    newest = next(older(transaction, call, bucket.name, key), None)
    number = _LAST if newest is None else int(newest[0].key.name.rpartition("\0")[2], 16) - 1
    place = versions(call.partition, bucket.name).key(f"{key}\0{number:016x}")
    transaction.put(place, document(version), expect=0, at=call.now)


def _drop(transaction: Transaction, gone: ObjectRecord | None, change: Change) -> None:
    if gone is not None and gone.content:
        transaction.remove_content(gone.content)
    if gone is not None and gone.blob:
        change.blobs.append(gone.blob)


def older(reader: Reader, call: Call, bucket: str, key: str) -> Iterator[tuple[Stored, Version]]:
    """What is not current of a key, newest first."""
    for row in each(reader, versions(call.partition, bucket), Query(name_prefix=f"{key}\0"), page=20):
        yield row, msgspec.convert(row.document, Version)


def find(reader: Reader, call: Call, bucket: str, key: str, version: str) -> ObjectRecord:
    """Raises NoSuchVersion; MethodNotAllowed for a delete marker."""
    stored = reader.get(objects(call.partition, bucket).key(key))
    if stored is not None and told(record(stored).version) == version:
        return record(stored)
    for _, found in older(reader, call, bucket, key):
        if told(found.id) == version:
            if found.record is None:
                raise refusal("MethodNotAllowed", Method="GET", DeleteMarker=True, VersionId=version)
            return found.record
    raise refusal("NoSuchVersion", Key=key, VersionId=version)


def marker_of(reader: Reader, call: Call, bucket: str, key: str) -> str:
    """The version of the marker that hides a key without a current version; empty when there is none."""
    newest = next(older(reader, call, bucket, key), None)
    return told(newest[1].id) if newest is not None and newest[1].record is None else ""


def replace(transaction: Transaction, call: Call, bucket: str, key: str, new: ObjectRecord) -> None:
    """The same version with other tags, wherever it lies."""
    stored = transaction.get(objects(call.partition, bucket).key(key))
    if stored is not None and record(stored).version == new.version:
        put_object(transaction, call, bucket, key, new)
        return
    for row, version in older(transaction, call, bucket, key):
        if version.record is not None and version.id == new.version:
            changed = msgspec.structs.replace(version, record=new)
            transaction.put(row.key, document(changed), expect=row.version, at=call.now)
            return
    raise refusal("NoSuchVersion", Key=key, VersionId=told(new.version))


def remove_version(
    transaction: Transaction, call: Call, bucket: Bucket, key: str, version: str, current: Stored | None
) -> Change:
    """For good. What came before it is current again when nothing newer is left; silent when there is no such version."""
    change = Change(version)
    if current is not None and told(record(current).version) == version:
        _drop(transaction, record(current), change)
        transaction.delete(current.key)
        _promote(transaction, call, bucket.name, key)
        return change
    for row, found in older(transaction, call, bucket.name, key):
        if told(found.id) == version:
            change.marker = found.record is None
            _drop(transaction, found.record, change)
            transaction.delete(row.key)
            if current is None:
                _promote(transaction, call, bucket.name, key)
            break
    return change


def _promote(transaction: Transaction, call: Call, bucket: str, key: str) -> None:
    newest = next(older(transaction, call, bucket, key), None)
    if newest is not None and newest[1].record is not None:
        transaction.delete(newest[0].key)
        put_object(transaction, call, bucket, key, newest[1].record)
