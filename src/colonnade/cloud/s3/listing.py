"""ListObjects, ListObjectsV2.

A delimiter folds all keys that share a beginning into one common prefix. Their number may be millions, so the scan does not
walk through them: it jumps to the first name behind the prefix, taking small pages after a jump and larger ones while keys come
singly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from colonnade.cloud.s3 import requests
from colonnade.cloud.s3.access import listed, on_bucket
from colonnade.cloud.s3.bucket import owner
from colonnade.cloud.s3.index import ObjectRecord, bucket_of, objects, record
from colonnade.cloud.s3.objects import quoted
from colonnade.cloud.s3.refusals import invalid_argument
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.store import Query, Reader, Scope, Stored
from colonnade.kernel.store.names import end_of_prefix

_SMALL, _LARGE = 16, 1000


@dataclass(slots=True)
class Page:
    rows: list[Stored] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    """The key or common prefix that comes last in order."""
    truncated: bool = False


def page(reader: Reader, scope: Scope, prefix: str, delimiter: str, after: str | None, limit: int) -> Page:
    """At most `limit` keys and common prefixes behind `after`, itself a key or a common prefix."""
    found = Page()
    if limit == 0:
        return found
    for row, common in _entries(reader, scope, prefix, delimiter, after):
        if len(found.rows) + len(found.prefixes) == limit:
            found.truncated = True
            break
        if common:
            found.prefixes.append(common)
        else:
            found.rows.append(row)
        found.last = common or row.key.name
    return found


def _entries(
    reader: Reader, scope: Scope, prefix: str, delimiter: str, after: str | None
) -> Iterator[tuple[Stored, str]]:
    """In order: (row, "") for a key, (some row of it, prefix) once for each common prefix."""
    start, mark, size = "", after, _SMALL if delimiter else _LARGE
    if after is not None and delimiter and common_prefix(after, prefix, delimiter) == after:
        start, mark = end_of_prefix(after), None
        if not start:
            return
    while True:
        query = Query(
            name_prefix=prefix, name_from=start, after=None if mark is None else (mark, mark), limit=size
        )
        rows = reader.scan(scope, query)
        jumped = False
        for row in rows:
            common = common_prefix(row.key.name, prefix, delimiter)
            yield row, common
            if common:
                start, mark, jumped = end_of_prefix(common), None, True
                break
        if jumped:
            if not start:
                return
            size = _SMALL
        elif len(rows) < size:
            return
        else:
            mark, size = rows[-1].key.name, min(_LARGE, size * 4)


def common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """The common prefix that a key folds into; empty for none."""
    if not delimiter or not key.startswith(prefix):
        return ""
    end = key.find(delimiter, len(prefix))
    return "" if end < 0 else key[: end + len(delimiter)]


@operation("s3", "ListObjectsV2", demand=on_bucket("ListBucket"), conditions=listed)
def list_objects_v2(call: Call) -> Result:
    parameters = call.parameters
    after = _start(parameters)
    found, result = _list(call, after)
    result["KeyCount"] = len(found.rows) + len(found.prefixes)
    for name in ("ContinuationToken", "StartAfter"):
        if name in parameters:
            result[name] = parameters[name]
    if found.truncated:
        result["NextContinuationToken"] = encode_token([found.last])
    if found.rows:
        result["Contents"] = [
            _content(call, row, with_owner=bool(parameters.get("FetchOwner"))) for row in found.rows
        ]
    return encoded(parameters, result)


def _start(parameters: Mapping[str, Any]) -> str | None:
    if "ContinuationToken" not in parameters:
        return parameters.get("StartAfter") or None
    token = decode_token(parameters["ContinuationToken"])
    if not (isinstance(token, list) and len(token) == 1 and isinstance(token[0], str)):
        value = parameters["ContinuationToken"]
        raise invalid_argument("The continuation token provided is incorrect", "continuation-token", value)
    return token[0]


@operation("s3", "ListObjects", demand=on_bucket("ListBucket"), conditions=listed)
def list_objects(call: Call) -> Result:
    parameters = call.parameters
    found, result = _list(call, parameters.get("Marker") or None)
    result["Marker"] = parameters.get("Marker", "")
    if found.truncated and parameters.get("Delimiter"):
        result["NextMarker"] = found.last
    if found.rows:
        result["Contents"] = [_content(call, row, with_owner=True) for row in found.rows]
    return encoded(parameters, result)


def _list(call: Call, after: str | None) -> tuple[Page, dict[str, Any]]:
    parameters = call.parameters
    prefix, delimiter = parameters.get("Prefix") or "", parameters.get("Delimiter") or ""
    limit = requests.number(parameters, "MaxKeys", 1000)
    with call.platform.store.read() as reader:
        name = bucket_of(reader, call).name
        found = page(reader, objects(call.partition, name), prefix, delimiter, after, limit)
    result: dict[str, Any] = {
        "Name": name,
        "Prefix": prefix,
        "MaxKeys": limit,
        "IsTruncated": found.truncated,
    }
    if delimiter:
        result["Delimiter"] = delimiter
    if found.prefixes:
        result["CommonPrefixes"] = [{"Prefix": common} for common in found.prefixes]
    return found, result


def _content(call: Call, row: Stored, *, with_owner: bool) -> dict[str, Any]:
    found = record(row)
    content = {"Key": row.key.name, **described(found)}
    return {**content, "Owner": owner(call)} if with_owner else content


def described(found: ObjectRecord) -> dict[str, Any]:
    """What lists tell of an object or a version."""
    return {
        "LastModified": found.modified,
        "ETag": quoted(found.etag),
        "Size": found.size,
        "StorageClass": "STANDARD",
        "ChecksumAlgorithm": [found.algorithm or "CRC32"],
        "ChecksumType": found.checksum_type,
    }


def encoded(parameters: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """EncodingType=url, for keys that XML cannot carry."""
    kind = parameters.get("EncodingType")
    if kind is None:
        return result
    if kind != "url":
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", kind)
    for name in ("Prefix", "Delimiter", "Marker", "NextMarker", "StartAfter", "KeyMarker", "NextKeyMarker"):
        if name in result:
            result[name] = quote(result[name], safe="/")
    for common in result.get("CommonPrefixes", ()):
        common["Prefix"] = quote(common["Prefix"], safe="/")
    for listing in ("Contents", "Versions", "DeleteMarkers", "Uploads"):
        for entry in result.get(listing, ()):
            entry["Key"] = quote(entry["Key"], safe="/")
    return {**result, "EncodingType": kind}
