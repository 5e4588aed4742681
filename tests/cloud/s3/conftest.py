from __future__ import annotations

from typing import Any

import pytest

from cloud.s3.doubles import ROOT, S3, ListedPrincipals
from colonnade.cloud.s3 import (
    bucket,
    bucket_encryption,
    bucket_policy,
    bucket_settings,
    bucket_versioning,
    copying,
    cors,
    lifecycle,
    listing,
    multipart,
    objects,
    tagging,
    version_listing,
)
from colonnade.kernel import operations
from colonnade.kernel.clock import ManualClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.operations import Call
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principal, Principals
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store.memory import MemoryStore
from colonnade.objects import ObjectStore
from colonnade.objects.memory import MemoryObjects

MODULES = (
    lifecycle,
    bucket,
    bucket_encryption,
    bucket_policy,
    bucket_settings,
    bucket_versioning,
    version_listing,
    copying,
    cors,
    lifecycle,
    listing,
    multipart,
    objects,
    tagging,
)


@pytest.fixture
def principals() -> ListedPrincipals:
    return ListedPrincipals()


@pytest.fixture
def platform(principals: ListedPrincipals) -> Platform:
    platform = Platform(store=MemoryStore(), clock=ManualClock(), ids=SeededIds(), signals=LocalSignals())
    platform.provide(Principals, principals)
    platform.provide(ObjectStore, MemoryObjects())
    return platform


@pytest.fixture
def s3(platform: Platform) -> S3:
    """`s3("PutObject", Bucket=..., ...)`: the operation as the gateway would run it; a Body comes back as bytes."""

    def perform(
        name: str, *, principal: Principal = ROOT, region: str = "us-east-1", **parameters: Any
    ) -> dict[str, Any]:
        call = Call(
            service="s3",
            operation=name,
            parameters=parameters,
            principal=principal,
            platform=platform,
            account=principal.account,
            region=region,
            request_id="request",
            now=platform.clock.now(),
        )
        result = dict(operations.perform(call))
        if "Body" in result and not isinstance(result["Body"], bytes):
            stream = result["Body"]
            result["Body"] = b"".join(stream)
            stream.close()
        return result

    return perform


@pytest.fixture
def a_bucket(s3: S3) -> str:
    s3("CreateBucket", Bucket="bucket")
    return "bucket"
