from __future__ import annotations

import time

from cloud.s3.doubles import S3, blobs
from colonnade.cloud.s3 import orphans
from colonnade.kernel.platform import Platform
from colonnade.objects import ObjectStore


def test_only_bytes_that_nobody_names_and_that_are_old_are_swept(
    s3: S3, a_bucket: str, platform: Platform
) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=b"object")
    upload = s3("CreateMultipartUpload", Bucket=a_bucket, Key="m")["UploadId"]
    s3("UploadPart", Bucket=a_bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"part")
    orphan = platform.the(ObjectStore).write([b"orphan"])

    assert orphans.sweep(platform, now=time.time()) == []
    assert orphans.sweep(platform, now=time.time() + 7200) == [orphan.id]
    assert blobs(platform) == 2
    assert s3("GetObject", Bucket=a_bucket, Key="k")["Body"] == b"object"
