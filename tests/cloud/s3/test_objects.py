from __future__ import annotations

import base64
import hashlib
import io
import zlib
from typing import Any

import pytest

from cloud.s3.doubles import S3, STRANGER, ListedPrincipals, blobs
from colonnade.cloud.s3 import checksums
from colonnade.cloud.s3.content import SMALL
from colonnade.kernel.clock import ManualClock
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.store.memory import MemoryStore
from colonnade.objects import ObjectStore
from colonnade.objects.memory import MemoryObjects

HELLO = b"hello world"


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def refused(s3: S3, name: str, **parameters: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        s3(name, **parameters)
    return caught.value


class Body:
    """A streaming body, with what comes after it."""

    def __init__(self, data: bytes, **trailers: str) -> None:
        self._file = io.BytesIO(data)
        self.length = len(data)
        self.trailers = {name.replace("_", "-"): value for name, value in trailers.items()}

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)


def test_what_was_put_is_got(s3: S3, a_bucket: str) -> None:
    put = s3(
        "PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO), ContentType="text/plain", Metadata={"A": "1"}
    )
    got = s3("GetObject", Bucket=a_bucket, Key="k")

    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(HELLO).hexdigest()}"'
    assert got["Body"] == HELLO
    assert (got["ContentLength"], got["ContentType"], got["Metadata"]) == (11, "text/plain", {"a": "1"})
    assert got["LastModified"] == 1_700_000_000.0
    assert "ContentRange" not in got


def test_an_object_of_many_pieces_and_an_empty_one(s3: S3, a_bucket: str) -> None:
    large = bytes(range(256)) * 10_000
    s3("PutObject", Bucket=a_bucket, Key="large", Body=Body(large))
    s3("PutObject", Bucket=a_bucket, Key="empty")

    assert s3("GetObject", Bucket=a_bucket, Key="large")["Body"] == large
    assert s3("GetObject", Bucket=a_bucket, Key="empty")["Body"] == b""
    assert s3("HeadObject", Bucket=a_bucket, Key="large")["ContentLength"] == len(large)


def test_replacing_and_deleting_leave_no_bytes_behind(s3: S3, a_bucket: str, platform: Platform) -> None:
    for data in (b"1", b"2", b"3"):
        s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(data))
    assert blobs(platform) == 1
    s3("DeleteObject", Bucket=a_bucket, Key="k")
    s3("DeleteObject", Bucket=a_bucket, Key="k")
    assert blobs(platform) == 0
    assert refused(s3, "GetObject", Bucket=a_bucket, Key="k").code == "NoSuchKey"


@pytest.mark.parametrize(
    ("text", "body", "content_range"),
    [
        ("bytes=0-4", b"hello", "bytes 0-4/11"),
        ("bytes=6-", b"world", "bytes 6-10/11"),
        ("bytes=-5", b"world", "bytes 6-10/11"),
        ("bytes=-99", HELLO, "bytes 0-10/11"),
        ("bytes=9-99", b"ld", "bytes 9-10/11"),
        ("bytes=0-1,3-4", HELLO, None),
        ("bytes=4-1", HELLO, None),
    ],
)
def test_ranges(s3: S3, a_bucket: str, text: str, body: bytes, content_range: str | None) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO))
    got = s3("GetObject", Bucket=a_bucket, Key="k", Range=text)
    head = s3("HeadObject", Bucket=a_bucket, Key="k", Range=text)

    assert (got["Body"], got.get("ContentRange"), got["ContentLength"]) == (body, content_range, len(body))
    assert (head.get("ContentRange"), head["ContentLength"]) == (content_range, len(body))


@pytest.mark.parametrize("text", ["bytes=11-", "bytes=-0", "bytes=50-60"])
def test_a_range_without_a_byte_is_refused(s3: S3, a_bucket: str, text: str) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO))
    error = refused(s3, "GetObject", Bucket=a_bucket, Key="k", Range=text)
    assert (error.code, error.status, error.members["ActualObjectSize"]) == ("InvalidRange", 416, "11")


def test_conditions_on_reading(s3: S3, a_bucket: str) -> None:
    etag = s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO))["ETag"]
    at = 1_700_000_000.0

    def code(**conditions: Any) -> str:
        try:
            s3("GetObject", Bucket=a_bucket, Key="k", **conditions)
        except ServiceError as error:
            return error.code
        return "OK"

    assert code(IfMatch=etag) == code(IfMatch="*") == code(IfNoneMatch='"other"') == "OK"
    assert code(IfMatch='"other"') == code(IfUnmodifiedSince=at - 1) == "PreconditionFailed"
    assert code(IfNoneMatch=etag) == code(IfModifiedSince=at) == "NotModified"
    assert code(IfModifiedSince=at - 1) == code(IfUnmodifiedSince=at) == "OK"
    assert code(IfMatch=etag, IfUnmodifiedSince=at - 1) == "OK"
    assert code(IfNoneMatch='"other"', IfModifiedSince=at) == "OK"


def test_conditions_on_writing(s3: S3, a_bucket: str, platform: Platform) -> None:
    etag = s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO), IfNoneMatch="*")["ETag"]
    again = refused(s3, "PutObject", Bucket=a_bucket, Key="k", Body=Body(b"x"), IfNoneMatch="*")
    other = refused(s3, "PutObject", Bucket=a_bucket, Key="k", Body=Body(b"x"), IfMatch='"other"')
    absent = refused(s3, "PutObject", Bucket=a_bucket, Key="new", Body=Body(b"x"), IfMatch=etag)

    assert (again.code, again.status, other.code, absent.code) == (
        "PreconditionFailed",
        412,
        "PreconditionFailed",
        "NoSuchKey",
    )
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(b"new"), IfMatch=etag)
    assert s3("GetObject", Bucket=a_bucket, Key="k")["Body"] == b"new"
    assert blobs(platform) == 1


@pytest.mark.parametrize("algorithm", checksums.BUILT)
def test_a_checksum_is_verified_kept_and_told(
    s3: S3, a_bucket: str, platform: Platform, algorithm: str
) -> None:
    total = checksums.begin(algorithm)
    total.update(HELLO)
    value, member = base64.b64encode(total.digest()).decode(), f"Checksum{algorithm}"

    put = s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO), **{member: value})
    plain = s3("GetObject", Bucket=a_bucket, Key="k")
    told = s3("GetObject", Bucket=a_bucket, Key="k", ChecksumMode="ENABLED")
    part = s3("GetObject", Bucket=a_bucket, Key="k", ChecksumMode="ENABLED", Range="bytes=0-1")

    assert put[member] == told[member] == value
    assert put["ChecksumType"] == told["ChecksumType"] == "FULL_OBJECT"
    assert member not in plain
    assert member not in part
    wrong = refused(s3, "PutObject", Bucket=a_bucket, Key="bad", Body=Body(b"other"), **{member: value})
    malformed = refused(s3, "PutObject", Bucket=a_bucket, Key="bad", Body=Body(HELLO), **{member: "AAA"})
    assert (wrong.code, malformed.code) == ("BadDigest", "InvalidRequest")
    assert blobs(platform) == 1


def test_a_trailing_checksum_is_verified(s3: S3, a_bucket: str) -> None:
    good = Body(HELLO, x_amz_checksum_crc32=crc32(HELLO))
    put = s3("PutObject", Bucket=a_bucket, Key="k", Body=good, ChecksumAlgorithm="CRC32")
    assert put["ChecksumCRC32"] == crc32(HELLO)

    bad = Body(HELLO, x_amz_checksum_crc32=crc32(b"other"))
    assert (
        refused(s3, "PutObject", Bucket=a_bucket, Key="k", Body=bad, ChecksumAlgorithm="CRC32").code
        == "BadDigest"
    )


def test_content_md5_is_verified(s3: S3, a_bucket: str, platform: Platform) -> None:
    md5 = base64.b64encode(hashlib.md5(HELLO).digest()).decode()
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO), ContentMD5=md5)

    assert (
        refused(s3, "PutObject", Bucket=a_bucket, Key="k", Body=Body(b"x"), ContentMD5=md5).code
        == "BadDigest"
    )
    assert (
        refused(s3, "PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO), ContentMD5="AAA").code
        == "InvalidDigest"
    )
    assert blobs(platform) == 1


def test_an_algorithm_that_is_not_built_is_refused_and_not_skipped(s3: S3, a_bucket: str) -> None:
    error = refused(
        s3, "PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO), ChecksumXXHASH64="AAAAAAAAAAA="
    )
    assert (error.code, error.status) == ("NotImplemented", 501)


def test_bytes_that_changed_on_disk_are_not_served(s3: S3, a_bucket: str, platform: Platform) -> None:
    s3("PutObject", Bucket=a_bucket, Key="small", Body=Body(HELLO))
    s3("PutObject", Bucket=a_bucket, Key="large", Body=Body(b"x" * (SMALL + 1)))
    files, store = platform.the(ObjectStore), platform.store
    assert isinstance(files, MemoryObjects)
    assert isinstance(store, MemoryStore)
    ((blob, (data, at)),) = files._blobs.items()
    files._blobs[blob] = (b"H" + data[1:], at)
    (content,) = store._contents.values()
    content.data = b"H" + content.data[1:]

    for key in ("small", "large"):
        error = refused(s3, "GetObject", Bucket=a_bucket, Key=key)
        assert (error.code, error.status) == ("InternalError", 500)
        assert "do not match their checksum" in error.message


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1])
def test_small_objects_lie_in_the_store_and_large_ones_in_files(
    s3: S3, a_bucket: str, platform: Platform, size: int
) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(data))
    s3("CopyObject", Bucket=a_bucket, Key="copy", CopySource="bucket/k")
    s3("DeleteObject", Bucket=a_bucket, Key="k")

    files = platform.the(ObjectStore)
    assert isinstance(files, MemoryObjects)
    assert len(files._blobs) == (1 if size > SMALL else 0)
    assert blobs(platform) == 1
    assert s3("GetObject", Bucket=a_bucket, Key="copy")["Body"] == data
    if size:
        part = s3("GetObject", Bucket=a_bucket, Key="copy", Range=f"bytes={size - 1}-")
        assert (part["Body"], part["ContentRange"]) == (data[-1:], f"bytes {size - 1}-{size - 1}/{size}")


def test_headers_are_kept_and_may_be_overridden(s3: S3, a_bucket: str) -> None:
    given = {
        "CacheControl": "no-cache",
        "ContentDisposition": "attachment",
        "ContentLanguage": "de",
        "Expires": 1.0,
    }
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO), ContentEncoding="aws-chunked,gzip", **given)
    got = s3(
        "GetObject",
        Bucket=a_bucket,
        Key="k",
        ResponseContentType="text/csv",
        ResponseCacheControl="max-age=1",
    )

    assert {name: got[name] for name in given} == {**given, "CacheControl": "max-age=1"}
    assert (got["ContentEncoding"], got["ContentType"]) == ("gzip", "text/csv")


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ({"ServerSideEncryption": "aws:kms:dsse"}, "NotImplemented"),
        ({"SSECustomerAlgorithm": "AES256"}, "InvalidArgument"),
        ({"StorageClass": "GLACIER"}, "NotImplemented"),
        ({"ObjectLockMode": "GOVERNANCE"}, "NotImplemented"),
        ({"ACL": "public-read"}, "AccessControlListNotSupported"),
        ({"GrantRead": "id=x"}, "AccessControlListNotSupported"),
        ({"Metadata": {"a": "x" * 2048}}, "MetadataTooLarge"),
        ({"Tagging": "a=1&a=2"}, "InvalidTag"),
        ({"ExpectedBucketOwner": "210987654321"}, "AccessDenied"),
    ],
)
def test_what_would_not_happen_is_refused_before_the_body_is_read(
    s3: S3, a_bucket: str, option: dict[str, Any], code: str
) -> None:
    body = Body(HELLO)
    error = refused(s3, "PutObject", Bucket=a_bucket, Key="k", Body=body, **option)
    assert error.code == code
    assert body.read() == HELLO


def test_long_keys_are_refused_by_their_bytes(s3: S3, a_bucket: str) -> None:
    s3("PutObject", Bucket=a_bucket, Key="é" * 512, Body=Body(b""))
    assert refused(s3, "PutObject", Bucket=a_bucket, Key="é" * 513, Body=Body(b"")).code == "KeyTooLongError"


def test_missing_things_are_named(s3: S3, a_bucket: str) -> None:
    key = refused(s3, "GetObject", Bucket=a_bucket, Key="k")
    bucket = refused(s3, "PutObject", Bucket="nowhere", Key="k", Body=Body(HELLO))
    version = refused(s3, "GetObject", Bucket=a_bucket, Key="k", VersionId="v1")

    assert (key.code, key.status, dict(key.members)) == ("NoSuchKey", 404, {"Key": "k"})
    assert key.message == "The specified key does not exist."
    assert (bucket.code, bucket.status, dict(bucket.members)) == (
        "NoSuchBucket",
        404,
        {"BucketName": "nowhere"},
    )
    assert version.code == "NoSuchVersion"


def test_many_are_deleted_at_once(
    s3: S3, a_bucket: str, principals: ListedPrincipals, platform: Platform
) -> None:
    for key in "abcd":
        s3("PutObject", Bucket=a_bucket, Key=key, Body=Body(HELLO))
    principals.denied = {("s3:DeleteObject", "arn:aws:s3:::bucket/c")}

    asked = [{"Key": "a"}, {"Key": "c"}, {"Key": "missing"}, {"Key": "d", "ETag": '"other"'}]
    answer = s3("DeleteObjects", Bucket=a_bucket, Delete={"Objects": asked})

    assert answer["Deleted"] == [{"Key": "a"}, {"Key": "missing"}]
    assert {error["Key"]: error["Code"] for error in answer["Errors"]} == {
        "c": "AccessDenied",
        "d": "PreconditionFailed",
    }
    assert [row["Key"] for row in s3("ListObjectsV2", Bucket=a_bucket)["Contents"]] == ["b", "c", "d"]
    assert blobs(platform) == 3
    assert s3("DeleteObjects", Bucket=a_bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True}) == {}
    assert refused(s3, "DeleteObjects", Bucket=a_bucket, Delete={"Objects": []}).code == "MalformedXML"


@pytest.mark.parametrize(
    ("name", "parameters", "needs"),
    [
        ("HeadObject", {"Key": "k"}, {("s3:GetObject", "arn:aws:s3:::bucket/k")}),
        ("ListObjectsV2", {}, {("s3:ListBucket", "arn:aws:s3:::bucket")}),
        ("HeadBucket", {}, {("s3:ListBucket", "arn:aws:s3:::bucket")}),
        ("ListBuckets", {}, {("s3:ListAllMyBuckets", "*")}),
        (
            "CopyObject",
            {"Key": "copy", "CopySource": "bucket/k"},
            {("s3:GetObject", "arn:aws:s3:::bucket/k"), ("s3:PutObject", "arn:aws:s3:::bucket/copy")},
        ),
        (
            "PutObject",
            {"Key": "k", "Tagging": "a=1"},
            {("s3:PutObject", "arn:aws:s3:::bucket/k"), ("s3:PutObjectTagging", "arn:aws:s3:::bucket/k")},
        ),
    ],
)
def test_each_operation_asks_for_awss_actions(
    s3: S3,
    a_bucket: str,
    principals: ListedPrincipals,
    name: str,
    parameters: dict[str, Any],
    needs: set[tuple[str, str]],
) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO))
    principals.asked.clear()
    s3(name, **({} if name == "ListBuckets" else {"Bucket": a_bucket}), **parameters)
    assert set(principals.asked) == needs

    for need in needs:
        principals.denied = {need}
        assert (
            refused(s3, name, **({} if name == "ListBuckets" else {"Bucket": a_bucket}), **parameters).code
            == "AccessDenied"
        )


def test_who_may_not_list_does_not_learn_which_keys_are_missing(
    s3: S3, a_bucket: str, principals: ListedPrincipals
) -> None:
    principals.denied = {("s3:ListBucket", "arn:aws:s3:::bucket")}
    assert refused(s3, "GetObject", Bucket=a_bucket, Key="k").code == "AccessDenied"


def test_another_account_is_denied(s3: S3, a_bucket: str) -> None:
    assert refused(s3, "ListObjectsV2", Bucket=a_bucket, principal=STRANGER).code == "AccessDenied"


def test_attributes(s3: S3, a_bucket: str) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO))
    answer = s3(
        "GetObjectAttributes",
        Bucket=a_bucket,
        Key="k",
        ObjectAttributes=["ETag", "ObjectSize", "Checksum", "ObjectParts"],
    )

    assert answer["ETag"] == hashlib.md5(HELLO).hexdigest()
    assert answer["ObjectSize"] == 11
    assert answer["Checksum"]["ChecksumCRC32"] == crc32(HELLO)
    assert "ObjectParts" not in answer


def test_tags(s3: S3, a_bucket: str, platform: Platform) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=Body(HELLO), Tagging="team=ml&empty=")
    assert s3("GetObjectTagging", Bucket=a_bucket, Key="k") == {
        "TagSet": [{"Key": "team", "Value": "ml"}, {"Key": "empty", "Value": ""}]
    }
    assert s3("HeadObject", Bucket=a_bucket, Key="k")["TagCount"] == 2

    clock = platform.clock
    assert isinstance(clock, ManualClock)
    clock.advance(60)
    s3("PutObjectTagging", Bucket=a_bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert s3("GetObject", Bucket=a_bucket, Key="k")["LastModified"] == 1_700_000_000.0
    s3("DeleteObjectTagging", Bucket=a_bucket, Key="k")
    assert s3("GetObjectTagging", Bucket=a_bucket, Key="k") == {"TagSet": []}
    eleven = [{"Key": str(number), "Value": ""} for number in range(11)]
    assert (
        refused(s3, "PutObjectTagging", Bucket=a_bucket, Key="k", Tagging={"TagSet": eleven}).code
        == "InvalidTag"
    )
