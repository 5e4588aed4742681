"""Bytes that nobody names: left when a process died between writing a blob and committing its id, or between committing a
removal and deleting. Called by the leader as it starts, and now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from colonnade.cloud.s3.index import UploadedPart, objects, parts, record, versions
from colonnade.cloud.s3.versions import Version
from colonnade.kernel.platform import Platform
from colonnade.kernel.store import Reader, each
from colonnade.objects import ObjectStore

_GRACE = 3600.0
"""Seconds that a blob may be unnamed: its index entry may be under way. Between the two lie milliseconds, or a join."""


def sweep(platform: Platform, *, now: float) -> Sequence[str]:
    """Delete them; the ids that went. `now` is the time of the files, not of an injected clock."""
    older_than = now - _GRACE
    with platform.store.read() as reader:
        named = set(named_blobs(reader))
    return platform.the(ObjectStore).sweep(named, older_than=older_than)


def named_blobs(reader: Reader) -> Iterator[str]:
    """The ids that objects and the parts of uploads under way refer to."""
    for bucket in reader.scan_types("s3", "bucket"):
        partition, name = bucket.key.partition, bucket.key.name
        for row in each(reader, objects(partition, name)):
            if blob := record(row).blob:
                yield blob
        for row in each(reader, versions(partition, name)):
            version = msgspec.convert(row.document, Version)
            if version.record is not None and version.record.blob:
                yield version.record.blob
        for row in each(reader, parts(partition, name)):
            yield msgspec.convert(row.document, UploadedPart).blob
