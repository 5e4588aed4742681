"""Rules and what becomes true by them: with a clock that tests move, and once through a whole server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from cloud.s3.doubles import S3, blobs
from colonnade.cloud.s3.index import buckets
from colonnade.cloud.s3.lifecycle import reconcile
from colonnade.kernel.clock import ManualClock
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import Again, Done
from colonnade.testing.server import running

DAY = 86_400.0
KEY = buckets("aws").key("bucket")


def rule(s3: S3, **actions: Any) -> None:
    whole: dict[str, Any] = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **actions}
    s3("PutBucketLifecycleConfiguration", Bucket="bucket", LifecycleConfiguration={"Rules": [whole]})


def put(s3: S3, key: str, size: int = 3, **more: Any) -> None:
    s3("PutObject", Bucket="bucket", Key=key, Body=b"x" * size, **more)


def keys(s3: S3) -> list[str]:
    return [each["Key"] for each in s3("ListObjectsV2", Bucket="bucket").get("Contents", [])]


def days_later(platform: Platform, days: float) -> None:
    """A day in the rules' sense ends at midnight."""
    assert isinstance(platform.clock, ManualClock)
    platform.clock.advance(days * DAY)
    assert isinstance(reconcile(platform, KEY), Again)


def test_objects_expire_at_the_midnight_after_their_days(s3: S3, platform: Platform, a_bucket: str) -> None:
    put(s3, "old", 100_000)
    rule(s3, Expiration={"Days": 2})

    days_later(platform, 2)
    assert keys(s3) == ["old"], "its day is not over"
    put(s3, "young")
    days_later(platform, 1)

    assert keys(s3) == ["young"]
    assert blobs(platform) == 1


@pytest.mark.parametrize(
    ("chosen", "gone"),
    [
        ({"Prefix": "logs/"}, "logs/a"),
        ({"Tag": {"Key": "keep", "Value": "no"}}, "tagged"),
        ({"ObjectSizeGreaterThan": 100}, "large"),
        ({"And": {"Prefix": "t", "Tags": [{"Key": "keep", "Value": "no"}]}}, "tagged"),
    ],
)
def test_a_filter_chooses_what_expires(
    s3: S3, platform: Platform, a_bucket: str, chosen: dict[str, Any], gone: str
) -> None:
    for key in ("logs/a", "other"):
        put(s3, key)
    put(s3, "large", 1000)
    put(s3, "tagged", Tagging="keep=no")
    before = keys(s3)
    rule(s3, Filter=chosen, Expiration={"Days": 1})

    days_later(platform, 3)

    assert keys(s3) == [key for key in before if key != gone]


def test_a_disabled_rule_and_none_do_nothing(s3: S3, platform: Platform, a_bucket: str) -> None:
    put(s3, "k")
    rule(s3, Status="Disabled", Expiration={"Days": 1})
    days_later(platform, 5)
    assert keys(s3) == ["k"]
    s3("DeleteBucketLifecycle", Bucket="bucket")
    assert isinstance(reconcile(platform, KEY), Done)


def test_a_date_expires_all_from_then_on(s3: S3, platform: Platform, a_bucket: str) -> None:
    put(s3, "k")
    midnight = (platform.clock.now() // DAY + 2) * DAY
    rule(s3, Expiration={"Date": midnight})

    days_later(platform, 1)
    assert keys(s3) == ["k"]
    days_later(platform, 1)

    assert keys(s3) == []


def test_a_version_makes_way_for_a_marker_and_goes_later(s3: S3, platform: Platform, a_bucket: str) -> None:
    s3("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    put(s3, "k", 100_000)
    rule(
        s3,
        Expiration={"Days": 1},
        NoncurrentVersionExpiration={"NoncurrentDays": 2},
    )

    days_later(platform, 2)
    listed = s3("ListObjectVersions", Bucket="bucket")
    assert (len(listed["DeleteMarkers"]), len(listed["Versions"])) == (1, 1)
    days_later(platform, 3)

    listed = s3("ListObjectVersions", Bucket="bucket")
    assert (len(listed["DeleteMarkers"]), "Versions" in listed) == (1, False)
    assert blobs(platform) == 0
    rule(s3, Expiration={"ExpiredObjectDeleteMarker": True})
    days_later(platform, 1)
    assert "DeleteMarkers" not in s3("ListObjectVersions", Bucket="bucket")


def test_some_earlier_versions_can_be_spared(s3: S3, platform: Platform, a_bucket: str) -> None:
    s3("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    ids = [s3("PutObject", Bucket="bucket", Key="k", Body=b"x")["VersionId"] for _ in range(4)]
    rule(s3, NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 1})

    days_later(platform, 3)

    left = [each["VersionId"] for each in s3("ListObjectVersions", Bucket="bucket")["Versions"]]
    assert left == [ids[3], ids[2]]


def test_uploads_that_nobody_completes_are_aborted(s3: S3, platform: Platform, a_bucket: str) -> None:
    upload = {"Bucket": "bucket", "Key": "k"}
    upload["UploadId"] = s3("CreateMultipartUpload", **upload)["UploadId"]
    s3("UploadPart", **upload, PartNumber=1, Body=b"x" * 100_000)
    rule(s3, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})

    days_later(platform, 3)

    assert "Uploads" not in s3("ListMultipartUploads", Bucket="bucket")
    assert blobs(platform) == 0


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({"Expiration": {"Days": 1, "Date": 0.0}}, "MalformedXML"),
        ({"Expiration": {"Date": 1.0}}, "InvalidArgument"),
        ({}, "InvalidArgument"),
        ({"Expiration": {"Days": 1}, "Status": "Perhaps"}, "MalformedXML"),
        ({"Expiration": {"Days": 1}, "Prefix": "both"}, "MalformedXML"),
        ({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, "NotImplemented"),
    ],
)
def test_rules_that_cannot_be_are_refused(s3: S3, a_bucket: str, bad: dict[str, Any], code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        rule(s3, **bad)

    assert refused.value.code == code
    with pytest.raises(ServiceError, match="lifecycle configuration does not exist"):
        s3("GetBucketLifecycleConfiguration", Bucket="bucket")


def test_other_settings_of_the_bucket_leave_its_rules_at_work(
    s3: S3, platform: Platform, a_bucket: str
) -> None:
    rule(s3, Expiration={"Days": 1})

    s3("PutBucketTagging", Bucket="bucket", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})

    with platform.store.read() as reader:
        assert [row.key for row in reader.scan_types("s3", "bucket", active=True)] == [KEY]


def test_a_server_whose_clock_moves_on_deletes_what_is_due(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--ephemeral", "--clock", "manual") as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="logs/k", Body=b"x")
        s3.put_object(Bucket="bucket", Key="kept", Body=b"x")
        told = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}}
        s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration={"Rules": [told]})
        assert s3.get_bucket_lifecycle_configuration(Bucket="bucket")["Rules"] == [told]

        move = Request(
            f"{server.url}/_colonnade/clock", json.dumps({"advance": 3 * DAY}).encode(), method="POST"
        )
        urlopen(move).close()

        deadline = time.monotonic() + 60
        while s3.list_objects_v2(Bucket="bucket")["KeyCount"] > 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert s3.list_objects_v2(Bucket="bucket")["Contents"][0]["Key"] == "kept"
