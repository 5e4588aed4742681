"""Versions as boto3 sees them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running

LARGE = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("versions") / "data", "--workers", "1") as server:
        yield server


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = "b-" + hashlib.md5(request.node.nodeid.encode()).hexdigest()
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    version(s3, bucket, "Enabled")
    return bucket


def version(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3: Any, bucket: str, key: str, body: bytes) -> str | None:
    answer: dict[str, Any] = s3.put_object(Bucket=bucket, Key=key, Body=body)
    return answer.get("VersionId")


def body(s3: Any, bucket: str, key: str, **which: str) -> bytes:
    data: bytes = s3.get_object(Bucket=bucket, Key=key, **which)["Body"].read()
    return data


def refused(call: Any, **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response: dict[str, Any] = caught.value.response
    return response


def listed(s3: Any, bucket: str, **which: Any) -> list[tuple[str, str, bool]]:
    answer = s3.list_object_versions(Bucket=bucket, **which)
    both = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
    return [(each["Key"], each["VersionId"], each["IsLatest"]) for each in both]


def files(server: Server) -> int:
    return sum(path.is_file() for path in (server.data / "objects").rglob("*"))


@pytest.mark.parametrize("size", [10, LARGE])
def test_every_version_stays_readable_until_it_is_deleted(
    server: Server, s3: Any, versioned: str, size: int
) -> None:
    before = files(server)
    contents = [os.urandom(size) for _ in range(3)]
    ids = [put(s3, versioned, "k", content) for content in contents]

    assert len(set(ids)) == 3
    assert body(s3, versioned, "k") == contents[2]
    for id, content in zip(ids, contents, strict=True):
        got = s3.get_object(Bucket=versioned, Key="k", VersionId=id)
        assert (got["Body"].read(), got["VersionId"]) == (content, id)
    assert listed(s3, versioned) == [("k", ids[2], True), ("k", ids[1], False), ("k", ids[0], False)]

    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[2])
    assert body(s3, versioned, "k") == contents[1], "what came before is current again"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[0])
    assert (
        refused(s3.get_object, Bucket=versioned, Key="k", VersionId=ids[0])["Error"]["Code"]
        == "NoSuchVersion"
    )
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[1])
    assert refused(s3.get_object, Bucket=versioned, Key="k")["Error"]["Code"] == "NoSuchKey"
    assert listed(s3, versioned) == []
    assert files(server) == before


def test_a_deletion_leaves_a_marker_that_can_be_deleted(s3: Any, versioned: str) -> None:
    id = put(s3, versioned, "k", b"x")

    deleted = s3.delete_object(Bucket=versioned, Key="k")

    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True
    gone = refused(s3.get_object, Bucket=versioned, Key="k")
    assert gone["Error"]["Code"] == "NoSuchKey"
    headers = gone["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)
    assert refused(s3.head_object, Bucket=versioned, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 404
    there = refused(s3.get_object, Bucket=versioned, Key="k", VersionId=marker)
    assert there["ResponseMetadata"]["HTTPStatusCode"] == 405
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    answer = s3.list_object_versions(Bucket=versioned)
    assert [(each["VersionId"], each["IsLatest"]) for each in answer["DeleteMarkers"]] == [(marker, True)]
    assert [(each["VersionId"], each["IsLatest"]) for each in answer["Versions"]] == [(id, False)]
    assert body(s3, versioned, "k", VersionId=str(id)) == b"x"

    undone = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)

    assert (undone["DeleteMarker"], undone["VersionId"]) == (True, marker)
    assert body(s3, versioned, "k") == b"x"


def test_what_was_there_before_versioning_is_the_null_version(s3: Any, bucket: str) -> None:
    assert put(s3, bucket, "k", b"old") is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    version(s3, bucket, "Enabled")

    id = put(s3, bucket, "k", b"new")

    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert body(s3, bucket, "k", VersionId="null") == b"old"
    assert listed(s3, bucket) == [("k", id, True), ("k", "null", False)]


def test_suspending_keeps_versions_and_one_null_version(server: Server, s3: Any, bucket: str) -> None:
    version(s3, bucket, "Enabled")
    id = put(s3, bucket, "k", b"kept")
    version(s3, bucket, "Suspended")

    put(s3, bucket, "k", os.urandom(LARGE))
    before = files(server)
    put(s3, bucket, "k", b"null again")

    assert files(server) == before - 1
    assert listed(s3, bucket) == [("k", "null", True), ("k", id, False)]
    deleted = s3.delete_object(Bucket=bucket, Key="k")
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    assert sorted(listed(s3, bucket)) == sorted([("k", "null", True), ("k", id, False)])
    assert refused(s3.get_object, Bucket=bucket, Key="k")["Error"]["Code"] == "NoSuchKey"
    put(s3, bucket, "k", b"back")
    assert listed(s3, bucket) == [("k", "null", True), ("k", id, False)]
    assert body(s3, bucket, "k") == b"back"


def test_versions_are_listed_page_by_page_in_order(s3: Any, versioned: str) -> None:
    for number in range(3):
        for key in ("a", "a/b", "a/c", "b"):
            put(s3, versioned, key, str(number).encode())
    s3.delete_object(Bucket=versioned, Key="a/b")
    whole = s3.list_object_versions(Bucket=versioned)

    pages = list(
        s3.get_paginator("list_object_versions").paginate(Bucket=versioned, PaginationConfig={"PageSize": 2})
    )

    assert [len(page.get("Versions", [])) + len(page.get("DeleteMarkers", [])) for page in pages] == [
        2
    ] * 6 + [1]
    assert [each for page in pages for each in page.get("Versions", [])] == whole["Versions"]
    assert [each["Key"] for each in whole["Versions"]] == ["a"] * 3 + ["a/b"] * 3 + ["a/c"] * 3 + ["b"] * 3
    folded = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [each["Prefix"] for each in folded["CommonPrefixes"]] == ["a/"]
    assert [each["Key"] for each in folded["Versions"]] == ["a"] * 3 + ["b"] * 3
    within = s3.list_object_versions(Bucket=versioned, Prefix="a/b")
    assert (len(within["Versions"]), len(within["DeleteMarkers"])) == (3, 1)


def test_a_bucket_with_versions_is_not_empty(s3: Any, versioned: str) -> None:
    put(s3, versioned, "k", b"x")
    s3.delete_object(Bucket=versioned, Key="k")

    assert refused(s3.delete_bucket, Bucket=versioned)["Error"]["Code"] == "BucketNotEmpty"
    named = [{"Key": key, "VersionId": id} for key, id, _ in listed(s3, versioned)]
    assert len(s3.delete_objects(Bucket=versioned, Delete={"Objects": named})["Deleted"]) == 2
    s3.delete_bucket(Bucket=versioned)


def test_deleting_many_tells_markers(s3: Any, versioned: str) -> None:
    put(s3, versioned, "k", b"x")

    (told,) = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k"}]})["Deleted"]

    assert told["DeleteMarker"] is True
    assert (("k", told["DeleteMarkerVersionId"], True)) in listed(s3, versioned)


def test_an_earlier_version_is_copied_and_tagged(s3: Any, versioned: str) -> None:
    first, second = put(s3, versioned, "k", b"first"), put(s3, versioned, "k", b"second")
    tags = {"TagSet": [{"Key": "a", "Value": "1"}]}
    s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=first, Tagging=tags)

    copied = s3.copy_object(
        Bucket=versioned,
        Key="k",
        CopySource={"Bucket": versioned, "Key": "k", "VersionId": first},
        MetadataDirective="REPLACE",
    )

    assert copied["CopySourceVersionId"] == first
    assert body(s3, versioned, "k") == b"first"
    assert s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=first)["TagSet"] == tags["TagSet"]
    assert s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=second)["TagSet"] == []
    assert [id for _, id, _ in listed(s3, versioned)] == [copied["VersionId"], second, first]


def test_a_multipart_upload_makes_a_version(s3: Any, versioned: str) -> None:
    first = put(s3, versioned, "k", b"x")
    upload = {"Bucket": versioned, "Key": "k"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"y" * LARGE)

    done = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )

    assert listed(s3, versioned) == [("k", done["VersionId"], True), ("k", first, False)]


def test_versions_survive_a_backup(server: Server, s3: Any, versioned: str) -> None:
    from colonnade.cli.backup import _named

    put(s3, versioned, "k", os.urandom(LARGE))
    put(s3, versioned, "k", os.urandom(LARGE))

    blobs = {path.name for path in (server.data / "objects").rglob("*") if path.is_file()}
    assert set(_named(Path(server.data / "store.db"))) == blobs


def test_deletion_with_mfa_is_refused(s3: Any, bucket: str) -> None:
    wanted = {"Status": "Enabled", "MFADelete": "Enabled"}

    answer = refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=wanted)

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
