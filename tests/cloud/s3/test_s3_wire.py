"""S3 as boto3 sees it: unchanged clients, a real socket, a real server."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colonnade.testing.server import Server, running

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("s3") / "server", "--ephemeral") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(client: Any, request: pytest.FixtureRequest) -> str:
    name = "b-" + hashlib.md5(request.node.nodeid.encode()).hexdigest()
    client.create_bucket(Bucket=name, **location(client))
    return name


def location(client: Any) -> dict[str, Any]:
    region = client.meta.region_name
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def code(call: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def body(client: Any, bucket: str, key: str, **parameters: Any) -> bytes:
    data: bytes = client.get_object(Bucket=bucket, Key=key, **parameters)["Body"].read()
    return data


ODD_KEYS = [
    "plain", "a//b", "/leading", "trailing/", "a+b", "a b", "a%2Fb", "a/../b", "..", ".", "a/./b", "ümläut", "🦊/𐀀",
    "q?x=1&y=2", "#hash", "tilde~", "quote'\"<>&;", "back\\slash", "%", "a" * 1024, "=", ":", "@", "new\nline", "\ttab",
]  # fmt: skip


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_keys_like_any_other(client: Any, bucket: str, key: str) -> None:
    client.put_object(Bucket=bucket, Key=key, Body=key.encode())

    assert body(client, bucket, key) == key.encode()
    assert client.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
    assert [row["Key"] for row in client.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [row["Key"] for row in client.list_objects(Bucket=bucket)["Contents"]] == [key]
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert body(client, bucket, "copy") == key.encode()
    deleted = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert [row["Key"] for row in deleted["Deleted"]] == [key]
    assert [row["Key"] for row in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["copy"]


def test_what_an_object_carries_comes_back(client: Any, bucket: str) -> None:
    client.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"data",
        ContentType="text/csv",
        CacheControl="no-cache",
        ContentDisposition='attachment; filename="x"',
        ContentEncoding="gzip",
        ContentLanguage="de",
        Metadata={"One": "1", "two": "zwei"},
        Tagging="team=ml&x=a%20b",
    )
    got = client.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"data"
    assert got["ETag"] == '"8d777f385d3dfec8815d20f7496026dc"'
    assert (got["ContentType"], got["ContentEncoding"], got["ContentLanguage"]) == ("text/csv", "gzip", "de")
    assert (got["CacheControl"], got["ContentDisposition"]) == ("no-cache", 'attachment; filename="x"')
    assert got["Metadata"] == {"one": "1", "two": "zwei"}
    assert got["TagCount"] == 2
    tags = client.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "team", "Value": "ml"}, {"Key": "x", "Value": "a b"}]
    assert (
        client.get_object(Bucket=bucket, Key="k", ResponseContentType="text/plain")["ContentType"]
        == "text/plain"
    )


def test_ranges_and_conditions(client: Any, bucket: str) -> None:
    etag = client.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["ETag"]
    partial = client.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")

    assert (partial["Body"].read(), partial["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert partial["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert body(client, bucket, "k", Range="bytes=-3") == b"789"
    assert code(client.get_object, Bucket=bucket, Key="k", Range="bytes=10-") == ("InvalidRange", 416)
    assert code(client.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag) == ("304", 304)
    assert code(client.head_object, Bucket=bucket, Key="k", IfMatch='"x"') == ("412", 412)
    assert code(client.put_object, Bucket=bucket, Key="k", Body=b"", IfNoneMatch="*") == (
        "PreconditionFailed",
        412,
    )
    assert body(client, bucket, "k", IfMatch=etag) == b"0123456789"


def test_missing_things_have_s3s_names(client: Any, bucket: str) -> None:
    assert code(client.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert code(client.head_object, Bucket=bucket, Key="k") == ("404", 404)
    assert code(client.get_object, Bucket="no-such-bucket", Key="k") == ("NoSuchBucket", 404)
    assert code(client.put_object, Bucket="no-such-bucket", Key="k", Body=b"x" * MIB) == ("NoSuchBucket", 404)
    assert code(client.head_bucket, Bucket="no-such-bucket") == ("404", 404)
    assert (
        code(client.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"MFADelete": "Enabled"})[1]
        == 501
    )
    assert client.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_buckets(client: Any, bucket: str) -> None:
    head = client.head_bucket(Bucket=bucket)
    assert head["BucketRegion"] == client.meta.region_name
    constraint = client.get_bucket_location(Bucket=bucket)["LocationConstraint"]
    assert constraint == location(client).get("CreateBucketConfiguration", {}).get("LocationConstraint")
    assert bucket in [row["Name"] for row in client.list_buckets()["Buckets"]]
    assert code(client.create_bucket, Bucket=bucket, **location(client)) == ("BucketAlreadyOwnedByYou", 409)
    assert code(client.head_bucket, Bucket=bucket, ExpectedBucketOwner="210987654321") == ("403", 403)
    client.put_object(Bucket=bucket, Key="k", Body=b"")
    assert code(client.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    client.delete_object(Bucket=bucket, Key="k")
    client.delete_bucket(Bucket=bucket)
    assert code(client.head_bucket, Bucket=bucket) == ("404", 404)


def test_checksums_that_do_not_match_are_refused(client: Any, bucket: str) -> None:
    def b64(number: int) -> str:
        return base64.b64encode(number.to_bytes(4, "big")).decode()

    wrong = b64(zlib.crc32(b"other"))
    assert code(client.put_object, Bucket=bucket, Key="k", Body=b"data", ChecksumCRC32=wrong) == (
        "BadDigest",
        400,
    )
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert code(client.put_object, Bucket=bucket, Key="k", Body=b"data", ContentMD5=md5) == ("BadDigest", 400)
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)

    client.put_object(Bucket=bucket, Key="k", Body=b"data", ChecksumAlgorithm="SHA256")
    told = client.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert told["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"data").digest()).decode()


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_large_files_go_in_parts_and_come_in_ranges(
    client: Any, bucket: str, tmp_path: Path, algorithm: str
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(12 * MIB + 17))
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    client.upload_file(str(source), bucket, "big", Config=config, ExtraArgs={"ChecksumAlgorithm": algorithm})
    client.download_file(bucket, "big", str(target), Config=config)

    head = client.head_object(Bucket=bucket, Key="big")
    assert target.read_bytes() == source.read_bytes()
    assert head["ETag"].endswith('-3"')
    parts = [client.head_object(Bucket=bucket, Key="big", PartNumber=number) for number in (1, 2, 3)]
    assert [part["ContentLength"] for part in parts] == [5 * MIB, 5 * MIB, 2 * MIB + 17]
    assert parts[0]["PartsCount"] == 3
    client.copy({"Bucket": bucket, "Key": "big"}, bucket, "copied in parts", Config=config)
    assert body(client, bucket, "copied in parts") == source.read_bytes()


def test_uploads_under_way_are_listed_and_aborted(client: Any, bucket: str) -> None:
    upload = client.create_multipart_upload(Bucket=bucket, Key="a b")
    target = {"Bucket": bucket, "Key": "a b", "UploadId": upload["UploadId"]}
    part = client.upload_part(**target, PartNumber=7, Body=b"part")

    assert [row["Key"] for row in client.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["a b"]
    listed = client.list_parts(**target)["Parts"]
    assert [(row["PartNumber"], row["ETag"], row["Size"]) for row in listed] == [(7, part["ETag"], 4)]
    client.abort_multipart_upload(**target)
    assert code(client.list_parts, **target) == ("NoSuchUpload", 404)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_links_read_and_write(server: Server, bucket: str, version: str) -> None:
    signing = server.client("s3", config=Config(signature_version=version))
    write = signing.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b/+"})
    read = signing.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b/+"})
    request = urllib.request.Request(write, data=b"by link", method="PUT", headers={"Content-Type": ""})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(read) as answer:
        assert answer.read() == b"by link"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(read.replace("a%20b", "other"))
    assert caught.value.code == 403


def test_lists_in_pages_with_a_delimiter(client: Any, bucket: str) -> None:
    for number in range(7):
        client.put_object(Bucket=bucket, Key=f"folder {number % 3}/{number}", Body=b"")
    client.put_object(Bucket=bucket, Key="single", Body=b"")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    older = client.get_paginator("list_objects").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})

    assert [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", [])] == [
        f"folder {n}/" for n in range(3)
    ]
    assert len([row for page in older for row in page["Contents"]]) == 8


def test_a_stream_of_unknown_kind_and_an_empty_object(client: Any, bucket: str) -> None:
    client.upload_fileobj(io.BytesIO(b""), bucket, "empty")
    client.upload_fileobj(io.BytesIO(b"x" * 3000), bucket, "stream")
    assert (body(client, bucket, "empty"), len(body(client, bucket, "stream"))) == (b"", 3000)


_KEYS = st.text(st.sampled_from("ab/ +%é🦊."), min_size=1, max_size=4)
_STEPS = st.lists(st.tuples(st.booleans(), _KEYS, st.binary(max_size=20)), min_size=1, max_size=12)


def test_random_histories_agree_with_a_dictionary(client: Any, bucket: str) -> None:
    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(steps=_STEPS, prefix=st.just("") | _KEYS)
    def run(steps: list[tuple[bool, str, bytes]], prefix: str) -> None:
        for row in client.list_objects_v2(Bucket=bucket).get("Contents", []):
            client.delete_object(Bucket=bucket, Key=row["Key"])
        model: dict[str, bytes] = {}
        for puts, key, data in steps:
            if puts:
                client.put_object(Bucket=bucket, Key=key, Body=data)
                model[key] = data
            else:
                client.delete_object(Bucket=bucket, Key=key)
                model.pop(key, None)
        listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        wanted = sorted((key for key in model if key.startswith(prefix)), key=lambda key: key.encode())
        assert [row["Key"] for row in listed] == wanted
        assert {key: body(client, bucket, key) for key in model} == model

    run()


def test_what_was_acknowledged_survives_kill_9_of_the_server(tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    with running(tmp_path / "data") as server:
        client = server.client("s3")
        client.create_bucket(Bucket="bucket", **location(client))
        for number in range(30):
            kept[f"key-{number}"] = os.urandom(number * 100)
            client.put_object(Bucket="bucket", Key=f"key-{number}", Body=kept[f"key-{number}"])
        client.delete_object(Bucket="bucket", Key="key-3")
        del kept["key-3"]
        server.kill()

    with running(tmp_path / "data") as server:
        client = server.client("s3")
        listed = [row["Key"] for row in client.list_objects_v2(Bucket="bucket")["Contents"]]
        assert listed == sorted(kept)
        assert {key: body(client, "bucket", key) for key in kept} == kept


def test_the_rest_of_what_clients_ask(client: Any, bucket: str) -> None:
    expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    client.put_object(Bucket=bucket, Key="k", Body=b"data", Expires=expires, ACL="private")
    assert client.get_object(Bucket=bucket, Key="k")["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    attributes = client.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["ETag", "ObjectSize", "Checksum"]
    )
    assert (attributes["ETag"], attributes["ObjectSize"]) == ("8d777f385d3dfec8815d20f7496026dc", 4)
    assert (
        attributes["Checksum"]["ChecksumCRC32"]
        == base64.b64encode(zlib.crc32(b"data").to_bytes(4, "big")).decode()
    )

    tags = {"TagSet": [{"Key": "team", "Value": "ml & more"}]}
    client.put_bucket_tagging(Bucket=bucket, Tagging=tags)
    assert client.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags["TagSet"]
    client.put_object_tagging(Bucket=bucket, Key="k", Tagging=tags)
    assert client.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags["TagSet"]
    client.delete_object_tagging(Bucket=bucket, Key="k")

    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
    client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == block
    assert "Status" not in client.get_bucket_versioning(Bucket=bucket)
    assert client.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert client.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "BucketOwnerEnforced"}
    ]
    assert code(client.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    assert code(client.put_bucket_policy, Bucket=bucket, Policy="{}") == ("MalformedPolicy", 400)
    assert (
        code(client.put_object, Bucket=bucket, Key="k", Body=b"", ACL="public-read")[0]
        == "AccessControlListNotSupported"
    )


def test_a_bucket_is_emptied_by_its_versions(server: Server, client: Any, bucket: str) -> None:
    import boto3

    for number in range(3):
        client.put_object(Bucket=bucket, Key=f"k{number}", Body=b"")
    keys = {"aws_access_key_id": server.access_key_id, "aws_secret_access_key": server.secret_access_key}
    resource = boto3.resource("s3", endpoint_url=server.url, region_name=server.region, **keys)
    resource.Bucket(bucket).object_versions.delete()
    resource.Bucket(bucket).delete()
    assert code(client.head_bucket, Bucket=bucket) == ("404", 404)
