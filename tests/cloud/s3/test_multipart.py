from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest

from cloud.s3.doubles import S3, blobs
from colonnade.cloud.s3 import checksums, multipart
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.objects import ObjectStore
from colonnade.objects.memory import MemoryObjects


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of ten bytes will do."""
    monkeypatch.setattr(multipart, "LEAST", 10)


PARTS = (b"a" * 10, b"b" * 25, b"c")
WHOLE = b"".join(PARTS)


def begin(s3: S3, bucket: str, key: str = "k", **options: Any) -> dict[str, Any]:
    upload = s3("CreateMultipartUpload", Bucket=bucket, Key=key, **options)["UploadId"]
    return {"Bucket": bucket, "Key": key, "UploadId": upload}


def upload(s3: S3, target: dict[str, Any], parts: tuple[bytes, ...] = PARTS) -> list[dict[str, Any]]:
    listed = []
    for number, data in enumerate(parts, start=1):
        answer = s3("UploadPart", **target, PartNumber=number, Body=data)
        listed.append({"PartNumber": number, **answer})
    return listed


def refused(s3: S3, name: str, **parameters: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        s3(name, **parameters)
    return caught.value


def test_the_parts_become_the_object(s3: S3, a_bucket: str, platform: Platform) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=b"before")
    target = begin(s3, a_bucket, ContentType="text/plain", Metadata={"m": "1"}, Tagging="t=1")
    listed = upload(s3, target)
    assert s3("GetObject", Bucket=a_bucket, Key="k")["Body"] == b"before"

    answer = s3("CompleteMultipartUpload", **target, MultipartUpload={"Parts": listed})

    digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in PARTS)).hexdigest()
    got = s3("GetObject", Bucket=a_bucket, Key="k", ChecksumMode="ENABLED")
    assert answer["ETag"] == got["ETag"] == f'"{digest}-3"'
    assert got["Body"] == WHOLE
    assert (got["ContentType"], got["Metadata"], got["TagCount"]) == ("text/plain", {"m": "1"}, 1)
    assert got["ChecksumCRC32"] == base64.b64encode(zlib.crc32(WHOLE).to_bytes(4, "big")).decode()
    assert blobs(platform) == 1
    assert refused(s3, "ListParts", **target).code == "NoSuchUpload"


def test_a_part_can_be_replaced_and_left_out(s3: S3, a_bucket: str, platform: Platform) -> None:
    target = begin(s3, a_bucket)
    listed = upload(s3, target)
    listed[0] = {"PartNumber": 1, **s3("UploadPart", **target, PartNumber=1, Body=b"A" * 12)}
    assert blobs(platform) == 3
    s3("CompleteMultipartUpload", **target, MultipartUpload={"Parts": [listed[0], listed[2]]})

    assert s3("GetObject", Bucket=a_bucket, Key="k")["Body"] == b"A" * 12 + b"c"
    assert blobs(platform) == 1


def test_lists_of_parts_that_are_wrong_are_refused_and_change_nothing(
    s3: S3, a_bucket: str, platform: Platform
) -> None:
    target = begin(s3, a_bucket)
    first, second, third = upload(s3, target)

    def code(*parts: dict[str, Any]) -> str:
        return refused(s3, "CompleteMultipartUpload", **target, MultipartUpload={"Parts": list(parts)}).code

    assert code() == "MalformedXML"
    assert code(second, first) == code(first, first) == "InvalidPartOrder"
    assert code(first, {"PartNumber": 9, "ETag": first["ETag"]}) == "InvalidPart"
    assert code({**first, "ETag": '"other"'}) == "InvalidPart"
    assert code({**first, "PartNumber": 1}, third, {"PartNumber": 4, "ETag": "x"}) == "InvalidPart"
    s3("UploadPart", **target, PartNumber=4, Body=b"end")
    fourth = {"PartNumber": 4, "ETag": hashlib.md5(b"end").hexdigest()}
    too_small = refused(
        s3, "CompleteMultipartUpload", **target, MultipartUpload={"Parts": [first, third, fourth]}
    )
    assert (too_small.code, too_small.members["PartNumber"]) == ("EntityTooSmall", "3")
    assert blobs(platform) == 4
    s3("CompleteMultipartUpload", **target, MultipartUpload={"Parts": [first, second, third]})


def test_aborting_leaves_nothing(s3: S3, a_bucket: str, platform: Platform) -> None:
    target = begin(s3, a_bucket)
    upload(s3, target)
    s3("AbortMultipartUpload", **target)

    assert blobs(platform) == 0
    for name in ("AbortMultipartUpload", "ListParts"):
        assert refused(s3, name, **target).code == "NoSuchUpload"
    assert refused(s3, "UploadPart", **target, PartNumber=1, Body=b"x").code == "NoSuchUpload"
    assert blobs(platform) == 0


@pytest.mark.parametrize("number", [0, 10_001])
def test_part_numbers_have_bounds(s3: S3, a_bucket: str, number: int) -> None:
    assert (
        refused(s3, "UploadPart", **begin(s3, a_bucket), PartNumber=number, Body=b"").code
        == "InvalidArgument"
    )


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256"])
def test_composite_checksums(s3: S3, a_bucket: str, algorithm: str) -> None:
    target = begin(s3, a_bucket, ChecksumAlgorithm=algorithm)
    listed = upload(s3, target)
    member = f"Checksum{algorithm}"
    answer = s3("CompleteMultipartUpload", **target, MultipartUpload={"Parts": listed})

    total = checksums.begin(algorithm)
    for part in listed:
        total.update(base64.b64decode(part[member]))
    assert answer[member] == base64.b64encode(total.digest()).decode() + "-3"
    assert answer["ChecksumType"] == "COMPOSITE"
    told = s3("GetObjectAttributes", Bucket=a_bucket, Key="k", ObjectAttributes=["ObjectParts"])[
        "ObjectParts"
    ]
    assert [part[member] for part in told["Parts"]] == [part[member] for part in listed]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_checksums_of_the_whole(s3: S3, a_bucket: str, algorithm: str) -> None:
    target = begin(s3, a_bucket, ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT")
    listed = upload(s3, target)
    total = checksums.begin(algorithm)
    total.update(WHOLE)
    wanted = base64.b64encode(total.digest()).decode()

    wrong = {f"Checksum{algorithm}": base64.b64encode(bytes(len(total.digest()))).decode()}
    error = refused(s3, "CompleteMultipartUpload", **target, MultipartUpload={"Parts": listed}, **wrong)
    answer = s3(
        "CompleteMultipartUpload",
        **target,
        MultipartUpload={"Parts": listed},
        **{f"Checksum{algorithm}": wanted},
    )
    assert error.code == "BadDigest"
    assert (answer[f"Checksum{algorithm}"], answer["ChecksumType"]) == (wanted, "FULL_OBJECT")


@pytest.mark.parametrize(
    "options",
    [{"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"}, {"ChecksumType": "COMPOSITE"}],
)
def test_checksums_that_cannot_be_are_refused(s3: S3, a_bucket: str, options: dict[str, str]) -> None:
    assert refused(s3, "CreateMultipartUpload", Bucket=a_bucket, Key="k", **options).code == "InvalidRequest"


def test_a_part_can_be_read_by_its_number(s3: S3, a_bucket: str) -> None:
    target = begin(s3, a_bucket)
    s3("CompleteMultipartUpload", **target, MultipartUpload={"Parts": upload(s3, target)})
    got = s3("GetObject", Bucket=a_bucket, Key="k", PartNumber=2)

    assert (got["Body"], got["ContentRange"], got["PartsCount"]) == (PARTS[1], "bytes 10-34/36", 3)
    assert refused(s3, "GetObject", Bucket=a_bucket, Key="k", PartNumber=4).code == "InvalidPartNumber"


def test_parts_and_uploads_are_listed_in_pages(s3: S3, a_bucket: str) -> None:
    target = begin(s3, a_bucket, "a/1")
    upload(s3, target)
    for key in ("a/2", "b", "b"):
        begin(s3, a_bucket, key)

    first = s3("ListParts", **target, MaxParts=2)
    second = s3("ListParts", **target, MaxParts=2, PartNumberMarker=first["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in first["Parts"] + second["Parts"]] == [1, 2, 3]
    assert (first["IsTruncated"], second["IsTruncated"]) == (True, False)

    found: list[str] = []
    position: dict[str, str] = {}
    while True:
        answer = s3("ListMultipartUploads", Bucket=a_bucket, MaxUploads=1, **position)
        found += [row["Key"] for row in answer["Uploads"]]
        if not answer["IsTruncated"]:
            break
        position = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}
    assert found == ["a/1", "a/2", "b", "b"]
    folded = s3("ListMultipartUploads", Bucket=a_bucket, Delimiter="/")
    assert [row["Prefix"] for row in folded["CommonPrefixes"]] == ["a/"]
    assert [row["Key"] for row in folded["Uploads"]] == ["b", "b"]


def test_copying(s3: S3, a_bucket: str, platform: Platform) -> None:
    s3("CreateBucket", Bucket="other")
    s3(
        "PutObject",
        Bucket=a_bucket,
        Key="a b/ü+",
        Body=b"data",
        ContentType="text/csv",
        Metadata={"m": "1"},
        Tagging="t=1",
    )
    s3("CopyObject", Bucket="other", Key="kept", CopySource="/bucket/a%20b/%C3%BC%2B")
    s3(
        "CopyObject",
        Bucket="other",
        Key="new",
        CopySource="bucket/a%20b/%C3%BC%2B",
        MetadataDirective="REPLACE",
        TaggingDirective="REPLACE",
        Metadata={"n": "2"},
    )

    kept, new = (s3("GetObject", Bucket="other", Key=key) for key in ("kept", "new"))
    assert (kept["Body"], kept["ContentType"], kept["Metadata"], kept["TagCount"]) == (
        b"data",
        "text/csv",
        {"m": "1"},
        1,
    )
    assert (new["Body"], new["ContentType"], new["Metadata"]) == (b"data", "binary/octet-stream", {"n": "2"})
    assert "TagCount" not in new
    s3("DeleteObject", Bucket=a_bucket, Key="a b/ü+")
    assert s3("GetObject", Bucket="other", Key="kept")["Body"] == b"data"
    assert blobs(platform) == 2


def test_copying_onto_itself_needs_a_change(s3: S3, a_bucket: str, platform: Platform) -> None:
    s3("PutObject", Bucket=a_bucket, Key="k", Body=b"data")
    same = {"Bucket": a_bucket, "Key": "k", "CopySource": f"{a_bucket}/k"}
    assert refused(s3, "CopyObject", **same).code == "InvalidRequest"
    s3("CopyObject", **same, MetadataDirective="REPLACE", Metadata={"m": "1"})
    assert s3("GetObject", Bucket=a_bucket, Key="k")["Body"] == b"data"
    assert s3("HeadObject", Bucket=a_bucket, Key="k")["Metadata"] == {"m": "1"}
    assert blobs(platform) == 1


def test_copies_that_cannot_be_are_refused(s3: S3, a_bucket: str) -> None:
    etag = s3("PutObject", Bucket=a_bucket, Key="k", Body=b"data")["ETag"]

    def code(source: str = "bucket/k", **options: Any) -> str:
        return refused(s3, "CopyObject", Bucket=a_bucket, Key="copy", CopySource=source, **options).code

    assert (code("bucket/missing"), code("nowhere/k"), code("bucket")) == (
        "NoSuchKey",
        "NoSuchBucket",
        "InvalidArgument",
    )
    assert code(CopySourceIfMatch='"other"') == code(CopySourceIfNoneMatch=etag) == "PreconditionFailed"
    assert code("bucket/k?versionId=v1") == "NoSuchVersion"


def test_a_copy_of_an_object_made_of_parts_is_whole(s3: S3, a_bucket: str) -> None:
    target = begin(s3, a_bucket)
    s3("CompleteMultipartUpload", **target, MultipartUpload={"Parts": upload(s3, target)})
    copied = s3("CopyObject", Bucket=a_bucket, Key="copy", CopySource="bucket/k")["CopyObjectResult"]

    assert copied["ETag"] == f'"{hashlib.md5(WHOLE).hexdigest()}"'
    assert s3("GetObject", Bucket=a_bucket, Key="copy")["Body"] == WHOLE


def test_parts_can_be_copied_from_objects(s3: S3, a_bucket: str) -> None:
    s3("PutObject", Bucket=a_bucket, Key="source", Body=bytes(range(100)))
    target = begin(s3, a_bucket)
    ranged = {"CopySource": "bucket/source", "CopySourceRange": "bytes=5-24"}
    first = s3("UploadPartCopy", **target, PartNumber=1, **ranged)["CopyPartResult"]
    second = s3("UploadPartCopy", **target, PartNumber=2, CopySource="bucket/source")["CopyPartResult"]
    parts = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["ETag"]}]
    s3("CompleteMultipartUpload", **target, MultipartUpload={"Parts": parts})

    assert s3("GetObject", Bucket=a_bucket, Key="k")["Body"] == bytes(range(5, 25)) + bytes(range(100))
    for wrong, code in (
        ("bytes=5-", "InvalidArgument"),
        ("bytes=5-100", "InvalidArgument"),
        ("bytes=100-101", "InvalidRange"),
    ):
        again = begin(s3, a_bucket)
        error = refused(
            s3, "UploadPartCopy", **again, PartNumber=1, CopySource="bucket/source", CopySourceRange=wrong
        )
        assert error.code == code


def test_parts_that_went_away_are_told_and_not_an_accident(s3: S3, a_bucket: str, platform: Platform) -> None:
    target = begin(s3, a_bucket)
    listed = upload(s3, target)
    store = platform.the(ObjectStore)
    assert isinstance(store, MemoryObjects)
    store.delete(next(iter(store._blobs)))

    assert (
        refused(s3, "CompleteMultipartUpload", **target, MultipartUpload={"Parts": listed}).code
        == "InvalidPart"
    )
