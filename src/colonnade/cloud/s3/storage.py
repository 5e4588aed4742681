"""`kernel.ports.Storage`: S3 for the platform's own parts, as a role, by the same code as over the wire."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from colonnade.cloud.s3 import objects as operations_on_objects
from colonnade.cloud.s3.content import Download, reading
from colonnade.cloud.s3.encryption import KMS
from colonnade.cloud.s3.index import ObjectRecord, bucket_of, objects, record
from colonnade.kernel import operations
from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import ObjectContent, ObjectInfo, Principal
from colonnade.kernel.store import Query
from colonnade.objects import ObjectStore

_SOME_REGION = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Bucket names are global within a partition; any of its regions will do."""
_PAGE = 1000


class S3Storage:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def list(self, principal: Principal, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        call = self._call(principal, "ListObjectsV2", {"Bucket": bucket, "Prefix": prefix})
        return self._pages(call, bucket, prefix)  # Refusals come now, not at the first step.

    def read(self, principal: Principal, bucket: str, key: str) -> ObjectContent:
        call = self._call(principal, "GetObject", {"Bucket": bucket, "Key": key})
        found = operations_on_objects.look_up(call)
        with self._platform.store.read() as reader:
            data_key = operations_on_objects.data_key(call, reader, found)
        return Content(self._platform, _info(bucket, key, found), found, data_key)

    def write(
        self,
        principal: Principal,
        bucket: str,
        key: str,
        source: BinaryIO,
        *,
        content_type: str = "binary/octet-stream",
        kms_key_id: str = "",
    ) -> ObjectInfo:
        parameters: dict[str, Any] = {
            "Bucket": bucket,
            "Key": key,
            "Body": source,
            "ContentType": content_type,
        }
        if kms_key_id:
            parameters |= {"ServerSideEncryption": KMS, "SSEKMSKeyId": kms_key_id}
        call = self._call(principal, "PutObject", parameters)
        operations_on_objects.put(call)
        with self._platform.store.read() as reader:
            stored = reader.get(objects(call.partition, bucket).key(key))
        if stored is None:  # Deleted by somebody in this very moment.
            raise ServiceError(
                "NoSuchKey", "The specified key does not exist.", status=404, members={"Key": key}
            )
        return _info(bucket, key, record(stored))

    def delete(self, principal: Principal, bucket: str, key: str) -> None:
        operations_on_objects.delete(self._call(principal, "DeleteObject", {"Bucket": bucket, "Key": key}))

    def _call(self, principal: Principal, operation: str, parameters: Mapping[str, Any]) -> Call:
        """Authorised already."""
        call = Call(
            service="s3",
            operation=operation,
            parameters=parameters,
            principal=principal,
            platform=self._platform,
            account=principal.account,
            region=_SOME_REGION[Arn.parse(principal.arn).partition],
            request_id=self._platform.ids.uuid(),
            now=self._platform.clock.now(),
        )
        operations.authorise(operations.find("s3", operation), call)
        with self._platform.store.read() as reader:
            bucket_of(reader, call)
        return call

    def _pages(self, call: Call, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        after: tuple[str, str] | None = None
        while True:
            with self._platform.store.read() as reader:
                query = Query(name_prefix=prefix, after=after, limit=_PAGE)
                rows = reader.scan(objects(call.partition, bucket), query)
            for row in rows:
                yield _info(bucket, row.key.name, record(row))
            if len(rows) < _PAGE:
                return
            after = (rows[-1].key.name, rows[-1].key.name)


def _info(bucket: str, key: str, found: ObjectRecord) -> ObjectInfo:
    return ObjectInfo(bucket, key, found.size, found.etag, found.modified)


@dataclass(frozen=True, slots=True)
class Content:
    platform: Platform
    info: ObjectInfo
    found: ObjectRecord
    data_key: bytes = field(default=b"", repr=False)

    @property
    def local_path(self) -> Path | None:
        return (
            None
            if self.found.content or self.data_key
            else self.platform.the(ObjectStore).path(self.found.blob)
        )

    def open(self) -> BinaryIO:
        """Raises NoSuchKey when the object was replaced or deleted since it was looked up."""
        try:
            with self.platform.store.read() as reader:
                blobs = self.platform.the(ObjectStore)
                source = reading(blobs, reader, self.found, key=self.data_key)
        except FileNotFoundError:
            raise ServiceError(
                "NoSuchKey",
                "The object was deleted or replaced while it was about to be read.",
                status=404,
                members={"Key": self.info.key},
            ) from None
        return io.BufferedReader(_Raw(Download(self.found, source)))


class _Raw(io.RawIOBase):
    """A file over a Download, so that its check of the bytes holds here as well."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._pieces = iter(download)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._download.close()
        super().close()
