"""What one lifecycle rule makes of a bucket at an instant. `lifecycle.py` calls it.

Days count from the midnight UTC that follows: an object of Monday noon with one day goes as Wednesday begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from typing import Any

import msgspec

from colonnade.cloud.s3 import versions as of_versions
from colonnade.cloud.s3.index import (
    Bucket,
    ObjectRecord,
    Upload,
    UploadedPart,
    objects,
    parts,
    record,
    uploads,
    versions,
)
from colonnade.cloud.s3.versions import Change, Version, told
from colonnade.kernel.operations import Call
from colonnade.kernel.store import Query, Scope, Stored, Transaction, each
from colonnade.objects import ObjectStore

_DAY = 86_400.0
_TOGETHER = 200
"""Keys in one transaction: others write in between."""
Remove = Callable[[Transaction], Change]


def midnight_after(at: float) -> float:
    return (at // _DAY + 1) * _DAY


def _due(since: float, days: int, now: float) -> bool:
    return midnight_after(since + days * _DAY) <= now


def expire(call: Call, bucket: Bucket, rule: Mapping[str, Any]) -> None:
    for removals in (_current, _earlier, _uploads):
        _carry_out(call, removals(call, bucket, rule))


def _carry_out(call: Call, removals: Iterator[Remove]) -> None:
    while some := list(islice(removals, _TOGETHER)):
        with call.platform.store.write() as transaction:
            changes = [remove(transaction) for remove in some]
        for blob in (blob for change in changes for blob in change.blobs):
            call.platform.the(ObjectStore).delete(blob)


def _rows(call: Call, scope: Scope, prefix: str) -> Iterator[Stored]:
    """Each page with a snapshot of its own: rules may have much to do."""
    query = Query(name_prefix=prefix, limit=500)
    while True:
        with call.platform.store.read() as reader:
            rows = reader.scan(scope, query)
        yield from rows
        if len(rows) < 500:
            return
        query = replace(query, after=(rows[-1].key.name, rows[-1].key.name))


def _current(call: Call, bucket: Bucket, rule: Mapping[str, Any]) -> Iterator[Remove]:
    expiration = rule.get("Expiration") or {}
    days, date = expiration.get("Days"), expiration.get("Date")
    if days is None and (date is None or date > call.now):
        return
    for row in _rows(call, objects(call.partition, bucket.name), _prefix(rule)):
        found = record(row)
        if _chosen(rule, row.key.name, found) and (days is None or _due(found.modified, days, call.now)):
            yield partial(_expire_current, call, bucket, row)


def _expire_current(call: Call, bucket: Bucket, seen: Stored, transaction: Transaction) -> Change:
    now = transaction.get(seen.key)
    if now is None or now.version != seen.version:  # Written anew meanwhile: not due any more.
        return Change()
    return of_versions.remove(transaction, call, bucket, seen.key.name, now)


def _earlier(call: Call, bucket: Bucket, rule: Mapping[str, Any]) -> Iterator[Remove]:
    """Of each key: versions that are no longer current for long enough, and markers that hide nothing."""
    wanted = rule.get("NoncurrentVersionExpiration") or {}
    lone = bool((rule.get("Expiration") or {}).get("ExpiredObjectDeleteMarker"))
    if not bucket.versioning or not (wanted or lone):
        return
    rows = _rows(call, versions(call.partition, bucket.name), _prefix(rule))
    for key, group in groupby(rows, key=lambda row: row.key.name.rpartition("\0")[0]):
        entries = [msgspec.convert(row.document, Version) for row in group]
        with call.platform.store.read() as reader:
            current = reader.get(objects(call.partition, bucket.name).key(key))
        if lone and current is None and len(entries) == 1 and entries[0].record is None:
            yield partial(_remove_version, call, bucket, key, entries[0].id)
        elif wanted:
            yield from _noncurrent(call, bucket, rule, key, current, entries)


def _noncurrent(
    call: Call,
    bucket: Bucket,
    rule: Mapping[str, Any],
    key: str,
    current: Stored | None,
    entries: Sequence[Version],
) -> Iterator[Remove]:
    """A version is noncurrent since the next newer one was made."""
    wanted = rule["NoncurrentVersionExpiration"]
    days, spared = wanted.get("NoncurrentDays", 1), wanted.get("NewerNoncurrentVersions", 0)
    newer = record(current).modified if current is not None else None
    for entry in entries:
        since, newer = newer, entry.modified
        if since is None:  # The newest entry is the current one: a marker.
            continue
        if entry.record is not None and not _chosen(rule, key, entry.record):
            continue
        if spared > 0:
            spared -= 1
        elif _due(since, days, call.now):
            yield partial(_remove_version, call, bucket, key, entry.id)


def _remove_version(call: Call, bucket: Bucket, key: str, id: str, transaction: Transaction) -> Change:
    current = transaction.get(objects(call.partition, bucket.name).key(key))
    if (
        current is not None and record(current).version == id
    ):  # Current again, since what was newer was deleted.
        return Change()
    return of_versions.remove_version(transaction, call, bucket, key, told(id), current)


def _uploads(call: Call, bucket: Bucket, rule: Mapping[str, Any]) -> Iterator[Remove]:
    days = (rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation")
    if days is None:
        return
    for row in _rows(call, uploads(call.partition, bucket.name), _prefix(rule)):
        if _due(msgspec.convert(row.document, Upload).initiated, days, call.now):
            yield partial(_abort, call, bucket, row)


def _abort(call: Call, bucket: Bucket, upload: Stored, transaction: Transaction) -> Change:
    change = Change()
    if not transaction.delete(upload.key):
        return change
    id = msgspec.convert(upload.document, Upload).id
    for row in list(each(transaction, parts(call.partition, bucket.name), Query(name_prefix=f"{id}/"))):
        change.blobs.append(msgspec.convert(row.document, UploadedPart).blob)
        transaction.delete(row.key)
    return change


def _prefix(rule: Mapping[str, Any]) -> str:
    whole = rule.get("Filter") or {}
    return str((whole.get("And") or whole).get("Prefix") or rule.get("Prefix") or "")


def _chosen(rule: Mapping[str, Any], key: str, found: ObjectRecord) -> bool:
    whole = rule.get("Filter") or {}
    conditions = whole.get("And") or whole
    tags = [*conditions.get("Tags", ()), *([conditions["Tag"]] if "Tag" in conditions else [])]
    return (
        key.startswith(_prefix(rule))
        and all(found.tags.get(tag["Key"]) == tag["Value"] for tag in tags)
        and found.size > conditions.get("ObjectSizeGreaterThan", -1)
        and found.size < conditions.get("ObjectSizeLessThan", found.size + 1)
    )
