"""ListObjectVersions: keys in order, each with its versions and delete markers, newest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from colonnade.cloud.s3 import requests
from colonnade.cloud.s3.access import listed, on_bucket
from colonnade.cloud.s3.bucket import owner
from colonnade.cloud.s3.index import ObjectRecord, bucket_of, objects, record, versions
from colonnade.cloud.s3.listing import common_prefix, described, encoded
from colonnade.cloud.s3.versions import Version, told
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Query, Reader, each


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    version: str
    modified: float
    latest: bool
    record: ObjectRecord | None
    """None for a delete marker."""


@operation("s3", "ListObjectVersions", demand=on_bucket("ListBucketVersions"), conditions=listed)
def list_versions(call: Call) -> Result:
    parameters = call.parameters
    prefix, delimiter = parameters.get("Prefix") or "", parameters.get("Delimiter") or ""
    limit = requests.number(parameters, "MaxKeys", 1000)
    marker = (parameters.get("KeyMarker") or "", parameters.get("VersionIdMarker") or "")
    with call.platform.store.read() as reader:
        name = bucket_of(reader, call).name
        shown, more = _page(
            _after(_entries(reader, call, name, prefix, marker[0]), *marker),
            prefix,
            delimiter,
            marker[0],
            limit,
        )
    result: dict[str, Any] = {
        "Name": name,
        "Prefix": prefix,
        "MaxKeys": limit,
        "IsTruncated": more,
        "KeyMarker": marker[0],
        "VersionIdMarker": marker[1],
    }
    if delimiter:
        result["Delimiter"] = delimiter
    if more and shown:
        last = shown[-1]
        result["NextKeyMarker"] = last if isinstance(last, str) else last.key
        if not isinstance(last, str):
            result["NextVersionIdMarker"] = last.version
    entries = [each for each in shown if isinstance(each, Entry)]
    result["Versions"] = [_version(call, each, each.record) for each in entries if each.record is not None]
    result["DeleteMarkers"] = [_common(call, each) for each in entries if each.record is None]
    result["CommonPrefixes"] = [{"Prefix": each} for each in shown if isinstance(each, str)]
    return encoded(parameters, {name: value for name, value in result.items() if value != []})


def _page(
    entries: Iterator[Entry], prefix: str, delimiter: str, after: str, limit: int
) -> tuple[list[Entry | str], bool]:
    """Entries and common prefixes, and whether there are more."""
    shown: list[Entry | str] = []
    for entry in entries:
        common = common_prefix(entry.key, prefix, delimiter)
        if common and (common == after or common in shown[-1:]):
            continue
        if len(shown) == limit:
            return shown, limit > 0
        shown.append(common or entry)
    return shown, False


def _after(entries: Iterator[Entry], key: str, version: str) -> Iterator[Entry]:
    """What follows the marker: of its own key only what is older than the version that it names."""
    passed = False
    for entry in entries:
        if entry.key == key:
            if passed:
                yield entry
            passed = passed or entry.version == version
        elif not key or entry.key.encode() > key.encode():
            yield entry


def _entries(reader: Reader, call: Call, bucket: str, prefix: str, start: str) -> Iterator[Entry]:
    query = Query(name_prefix=prefix, name_from=start)
    current = (
        (row.key.name, 0, told(found.version), found.modified, found)
        for row in each(reader, objects(call.partition, bucket), query)
        for found in (record(row),)
    )
    others = (
        (row.key.name.rpartition("\0")[0], 1, told(found.id), found.modified, found.record)
        for row in each(reader, versions(call.partition, bucket), query)
        for found in (msgspec.convert(row.document, Version),)
    )
    before = None
    for key, _, version, modified, found in heapq.merge(
        current, others, key=lambda item: (item[0].encode(), item[1])
    ):
        yield Entry(key, version, modified, key != before, found)
        before = key


def _version(call: Call, entry: Entry, found: ObjectRecord) -> dict[str, Any]:
    return {**described(found), **_common(call, entry)}


def _common(call: Call, entry: Entry) -> dict[str, Any]:
    return {
        "Key": entry.key,
        "VersionId": entry.version,
        "IsLatest": entry.latest,
        "LastModified": entry.modified,
        "Owner": owner(call),
    }
