from __future__ import annotations

from typing import Any

import pytest

from cloud.s3.doubles import S3, STRANGER, blobs
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform


def refused(s3: S3, name: str, **parameters: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        s3(name, **parameters)
    return caught.value


def test_a_bucket_is_created_listed_and_deleted(s3: S3) -> None:
    assert s3("CreateBucket", Bucket="b-1")["Location"] == "/b-1"
    s3(
        "CreateBucket",
        Bucket="a-1",
        region="eu-west-1",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )

    listed = s3("ListBuckets")
    assert [(row["Name"], row["BucketRegion"]) for row in listed["Buckets"]] == [
        ("a-1", "eu-west-1"),
        ("b-1", "us-east-1"),
    ]
    assert s3("HeadBucket", Bucket="a-1")["BucketRegion"] == "eu-west-1"
    assert s3("GetBucketLocation", Bucket="a-1") == {"LocationConstraint": "eu-west-1"}
    assert s3("GetBucketLocation", Bucket="b-1") == {}

    s3("DeleteBucket", Bucket="b-1")
    assert refused(s3, "HeadBucket", Bucket="b-1").code == "NoSuchBucket"
    assert s3("ListBuckets", principal=STRANGER)["Buckets"] == []


def test_buckets_are_listed_in_pages(s3: S3) -> None:
    for number in range(5):
        s3("CreateBucket", Bucket=f"bucket-{number}")
    s3("CreateBucket", Bucket="other")
    first = s3("ListBuckets", MaxBuckets=3, Prefix="bucket-")
    second = s3("ListBuckets", MaxBuckets=3, Prefix="bucket-", ContinuationToken=first["ContinuationToken"])

    names = [row["Name"] for page in (first, second) for row in page["Buckets"]]
    assert names == [f"bucket-{number}" for number in range(5)]
    assert "ContinuationToken" not in second


def test_a_name_is_taken_once(s3: S3, a_bucket: str) -> None:
    mine = refused(s3, "CreateBucket", Bucket=a_bucket)
    anothers = refused(s3, "CreateBucket", Bucket=a_bucket, principal=STRANGER)
    assert (mine.code, mine.status) == ("BucketAlreadyOwnedByYou", 409)
    assert (anothers.code, anothers.status) == ("BucketAlreadyExists", 409)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Bucket",
        "a_b",
        "-ab",
        "ab-",
        "a..b",
        "192.168.0.1",
        "xn--b",
        "b-s3alias",
        "a b",
        "ab\n",
    ],
)
def test_names_follow_the_rules(s3: S3, name: str) -> None:
    assert refused(s3, "CreateBucket", Bucket=name).code == "InvalidBucketName"


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("eu-west-1", None, "IllegalLocationConstraintException"),
        ("eu-west-1", "eu-central-1", "IllegalLocationConstraintException"),
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
    ],
)
def test_the_location_must_be_the_endpoints(s3: S3, region: str, constraint: str | None, code: str) -> None:
    wanted = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    assert refused(s3, "CreateBucket", Bucket="bucket", region=region, **wanted).code == code


def test_a_bucket_with_objects_is_not_deleted_and_uploads_under_way_go_with_it(
    s3: S3, a_bucket: str, platform: Platform
) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=b"x")
    upload = s3("CreateMultipartUpload", Bucket=a_bucket, Key="m")["UploadId"]
    s3("UploadPart", Bucket=a_bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"part")
    error = refused(s3, "DeleteBucket", Bucket=a_bucket)
    assert (error.code, error.status) == ("BucketNotEmpty", 409)

    s3("DeleteObject", Bucket=a_bucket, Key="k")
    s3("DeleteBucket", Bucket=a_bucket)
    s3("CreateBucket", Bucket=a_bucket)
    assert "Uploads" not in s3("ListMultipartUploads", Bucket=a_bucket)
    assert blobs(platform) == 0


def test_changes_of_buckets_are_audited_and_those_of_objects_are_not(
    s3: S3, a_bucket: str, platform: Platform
) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=b"x")
    with platform.store.read() as reader:
        assert [event.subject for event in reader.events("audit")] == ["s3:CreateBucket"]


def test_bucket_tags(s3: S3, a_bucket: str) -> None:
    assert refused(s3, "GetBucketTagging", Bucket=a_bucket).code == "NoSuchTagSet"
    tags = [{"Key": "team", "Value": "ml"}]
    s3("PutBucketTagging", Bucket=a_bucket, Tagging={"TagSet": tags})
    assert s3("GetBucketTagging", Bucket=a_bucket) == {"TagSet": tags}
    s3("DeleteBucketTagging", Bucket=a_bucket)
    assert refused(s3, "GetBucketTagging", Bucket=a_bucket).code == "NoSuchTagSet"


def test_the_public_access_block_is_remembered(s3: S3, a_bucket: str) -> None:
    assert refused(s3, "GetPublicAccessBlock", Bucket=a_bucket).code == "NoSuchPublicAccessBlockConfiguration"
    s3("PutPublicAccessBlock", Bucket=a_bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    block = s3("GetPublicAccessBlock", Bucket=a_bucket)["PublicAccessBlockConfiguration"]
    assert block == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }
    s3("DeletePublicAccessBlock", Bucket=a_bucket)
    assert refused(s3, "GetPublicAccessBlock", Bucket=a_bucket).code == "NoSuchPublicAccessBlockConfiguration"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("GetBucketPolicy", "NoSuchBucketPolicy"),
        ("GetBucketCors", "NoSuchCORSConfiguration"),
        ("GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration"),
        ("GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ],
)
def test_what_cannot_be_set_is_told_as_never_set(s3: S3, a_bucket: str, name: str, code: str) -> None:
    assert refused(s3, name, Bucket=a_bucket).code == code
    assert refused(s3, name, Bucket="nowhere").code == "NoSuchBucket"


@pytest.mark.parametrize(
    "name",
    ["PutBucketReplication", "PutBucketWebsite"],
)
def test_what_is_not_built_is_not_accepted(s3: S3, a_bucket: str, name: str) -> None:
    assert refused(s3, name, Bucket=a_bucket).status == 501


def test_the_owner_alone_may_do_all(s3: S3, a_bucket: str) -> None:
    grants = s3("GetBucketAcl", Bucket=a_bucket)["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    s3("PutBucketAcl", Bucket=a_bucket, ACL="private")
    assert (
        refused(s3, "PutBucketAcl", Bucket=a_bucket, ACL="public-read").code
        == "AccessControlListNotSupported"
    )
    assert (
        refused(s3, "CreateBucket", Bucket="new", ACL="public-read").code == "AccessControlListNotSupported"
    )
