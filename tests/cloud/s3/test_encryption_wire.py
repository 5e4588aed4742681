"""Server-side encryption as boto3 sees it, and as a thief of the disk does."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running

MIB = 1024 * 1024
LEAK = b"a secret that must not lie plain on any disk "
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
OF_SOURCE = {f"CopySource{name}": value for name, value in CUSTOMER.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sse") / "data", "--workers", "1") as server:
        yield server


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def kms(server: Server) -> Any:
    return server.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = "b-" + hashlib.md5(request.node.nodeid.encode()).hexdigest()
    s3.create_bucket(Bucket=name)
    return name


def body(s3: Any, **parameters: Any) -> bytes:
    data: bytes = s3.get_object(**parameters)["Body"].read()
    return data


def refused(call: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def leaks(server: Server, text: bytes) -> list[str]:
    return [str(path) for path in server.data.rglob("*") if path.is_file() and text in path.read_bytes()]


def user(server: Server, name: str, *statements: Mapping[str, Any]) -> Any:
    """An S3 client of a new user with one policy."""
    iam = server.client("iam")
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return server.client(
        "s3", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"]
    )


@pytest.mark.parametrize("size", [100, 5 * MIB + 7])
@pytest.mark.parametrize("kind", ["plain", "AES256", "aws:kms", "SSE-C"])
def test_bytes_at_rest_are_ciphertext(server: Server, s3: Any, bucket: str, kind: str, size: int) -> None:
    mark = LEAK + os.urandom(8).hex().encode()
    data = (mark * (size // len(mark) + 1))[: max(size, len(mark))]
    asked = {"plain": {}, "SSE-C": CUSTOMER}.get(kind, {"ServerSideEncryption": kind})
    read = CUSTOMER if kind == "SSE-C" else {}

    s3.put_object(Bucket=bucket, Key="k", Body=data, **asked)

    assert bool(leaks(server, mark)) == (kind == "plain")
    assert body(s3, Bucket=bucket, Key="k", **read) == data
    head = s3.head_object(Bucket=bucket, Key="k", **read)
    assert head["ContentLength"] == len(data)
    assert head.get("ServerSideEncryption") == (kind if kind in ("AES256", "aws:kms") else None)
    assert (head["ETag"].strip('"') == hashlib.md5(data).hexdigest()) == (kind in ("plain", "AES256"))
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == len(data)


@pytest.mark.parametrize(
    "asked", [{"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}, CUSTOMER]
)
def test_ranges_of_an_encrypted_object(s3: Any, bucket: str, asked: dict[str, str]) -> None:
    data = os.urandom(3 * MIB + 100)
    s3.put_object(Bucket=bucket, Key="k", Body=data, **asked)
    read = asked if asked is CUSTOMER else {}

    for first, last in [
        (0, 0),
        (65_535, 65_536),
        (MIB, 2 * MIB),
        (len(data) - 1, len(data) - 1),
        (5, len(data) - 1),
    ]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **read)
        assert got["Body"].read() == data[first : last + 1]
        assert got["ContentRange"] == f"bytes {first}-{last}/{len(data)}"


@pytest.mark.parametrize(
    "asked", [{"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}, CUSTOMER]
)
def test_multipart_uploads_are_encrypted_part_by_part(
    server: Server, s3: Any, bucket: str, asked: dict[str, str]
) -> None:
    mark = LEAK + os.urandom(8).hex().encode()
    data = mark * (13 * MIB // len(mark))
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    read = asked if asked is CUSTOMER else {}

    s3.upload_fileobj(io.BytesIO(data), bucket, "k", ExtraArgs=asked, Config=config)

    assert not leaks(server, mark)
    assert body(s3, Bucket=bucket, Key="k", **read) == data
    edge = 5 * MIB
    got = body(s3, Bucket=bucket, Key="k", Range=f"bytes={edge - 10}-{edge + 10}", **read)
    assert got == data[edge - 10 : edge + 11]
    assert body(s3, Bucket=bucket, Key="k", PartNumber=2, **read) == data[edge : 2 * edge]
    assert s3.head_object(Bucket=bucket, Key="k", **read)["ETag"].endswith('-3"')


def test_the_key_that_was_named_is_told(s3: Any, kms: Any, bucket: str, key: str) -> None:
    kms.create_alias(AliasName="alias/team", TargetKeyId=key)
    put = s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="alias/team",
        BucketKeyEnabled=True,
    )

    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == (
        "aws:kms",
        key,
        True,
    )
    assert s3.head_object(Bucket=bucket, Key="k")["SSEKMSKeyId"] == key
    assert body(s3, Bucket=bucket, Key="k") == b"x"


def test_without_a_name_the_key_of_s3_is_taken(s3: Any, kms: Any, bucket: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")

    assert put["SSEKMSKeyId"] == kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]


def test_a_disabled_key_shuts_its_objects_until_it_is_enabled(
    s3: Any, kms: Any, bucket: str, key: str
) -> None:
    asked = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**asked, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    kms.rotate_key_on_demand(KeyId=key)
    kms.disable_key(KeyId=key)

    assert refused(s3.get_object, **asked) == ("KMS.DisabledException", 400)
    assert refused(s3.put_object, **asked, Body=b"y", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)[0] == (
        "KMS.DisabledException"
    )
    kms.enable_key(KeyId=key)
    assert body(s3, **asked) == b"x"
    kms.schedule_key_deletion(KeyId=key)
    assert refused(s3.get_object, **asked)[0] == "KMS.KMSInvalidStateException"


def test_a_key_that_is_not_there_is_not_found(s3: Any, bucket: str) -> None:
    asked = {"Bucket": bucket, "Key": "k", "Body": b"x", "ServerSideEncryption": "aws:kms"}

    assert refused(s3.put_object, **asked, SSEKMSKeyId="alias/none") == ("KMS.NotFoundException", 400)


def test_who_may_not_use_the_key_gets_no_object(server: Server, s3: Any, bucket: str, key: str) -> None:
    all_of_s3 = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    reading = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}
    writing = {
        "Effect": "Allow",
        "Action": "kms:GenerateDataKey",
        "Resource": key,
        "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
    }
    none, reader, writer = (
        user(server, name, all_of_s3, *more)
        for name, more in [("none", ()), ("reader", (reading,)), ("writer", (writing,))]
    )
    asked = {"Bucket": bucket, "Key": "k"}
    put = {**asked, "Body": b"x", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}

    assert refused(none.put_object, **put) == ("AccessDenied", 403)
    assert refused(reader.put_object, **put) == ("AccessDenied", 403)
    writer.put_object(**put)
    assert refused(none.get_object, **asked) == ("AccessDenied", 403)
    assert refused(writer.get_object, **asked) == ("AccessDenied", 403)
    assert body(reader, **asked) == b"x"
    assert none.head_object(**asked)["SSEKMSKeyId"] == key


def test_a_customer_key_is_asked_for_and_must_be_the_same(s3: Any, bucket: str) -> None:
    asked = {"Bucket": bucket, "Key": "k"}
    put = s3.put_object(**asked, Body=b"x", **CUSTOMER)
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")

    assert put["SSECustomerAlgorithm"] == "AES256"
    assert s3.get_object(**asked, **CUSTOMER)["SSECustomerKeyMD5"] == put["SSECustomerKeyMD5"]
    assert refused(s3.get_object, **asked) == ("InvalidRequest", 400)
    assert refused(s3.get_object, **asked, **{**CUSTOMER, "SSECustomerKey": "l" * 32}) == (
        "AccessDenied",
        403,
    )
    assert refused(s3.head_object, **asked)[1] == 400
    assert refused(s3.get_object, Bucket=bucket, Key="plain", **CUSTOMER) == ("InvalidRequest", 400)
    assert (
        refused(s3.put_object, **asked, Body=b"x", **{**CUSTOMER, "SSECustomerKey": "short"})[0]
        == "InvalidArgument"
    )
    other = {**CUSTOMER, "SSECustomerKeyMD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    assert refused(s3.put_object, **asked, Body=b"x", **other)[0] == "InvalidArgument"


def test_copies_are_encrypted_as_the_copy_asks(server: Server, s3: Any, bucket: str, key: str) -> None:
    mark = LEAK + os.urandom(8).hex().encode()
    data = mark * (MIB // len(mark))
    s3.put_object(Bucket=bucket, Key="customers", Body=data, **CUSTOMER)
    source = {"Bucket": bucket, "Key": "customers"}

    s3.copy_object(
        Bucket=bucket,
        Key="by-kms",
        CopySource=source,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
        **OF_SOURCE,
    )
    s3.copy_object(
        Bucket=bucket, Key="by-s3", CopySource={**source, "Key": "by-kms"}, ServerSideEncryption="AES256"
    )

    assert refused(s3.copy_object, Bucket=bucket, Key="no", CopySource=source) == ("InvalidRequest", 400)
    assert not leaks(server, mark)
    assert body(s3, Bucket=bucket, Key="by-kms") == body(s3, Bucket=bucket, Key="by-s3") == data
    assert s3.head_object(Bucket=bucket, Key="by-s3")["ETag"].strip('"') == hashlib.md5(data).hexdigest()
    s3.copy_object(Bucket=bucket, Key="plain", CopySource={**source, "Key": "by-s3"})
    assert "ServerSideEncryption" not in s3.head_object(Bucket=bucket, Key="plain")
    assert leaks(server, mark)
    s3.copy_object(
        Bucket=bucket, Key="plain", CopySource={**source, "Key": "plain"}, ServerSideEncryption="AES256"
    )
    assert body(s3, Bucket=bucket, Key="plain") == data
    assert not leaks(server, mark)


def test_parts_are_copied_out_of_and_into_encrypted_objects(s3: Any, bucket: str) -> None:
    data = os.urandom(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=data, **CUSTOMER)
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k", ServerSideEncryption="aws:kms")
    upload = {"Bucket": bucket, "Key": "k", "UploadId": begun["UploadId"]}

    copied = s3.upload_part_copy(
        **upload,
        PartNumber=1,
        CopySource=f"{bucket}/source",
        CopySourceRange=f"bytes=10-{6 * MIB - 1}",
        **OF_SOURCE,
    )
    s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]}
    )

    assert begun["ServerSideEncryption"] == "aws:kms"
    assert body(s3, Bucket=bucket, Key="k") == data[10:]


def test_a_buckets_default_encrypts_what_does_not_ask(server: Server, s3: Any, bucket: str, key: str) -> None:
    assert (
        refused(s3.get_bucket_encryption, Bucket=bucket)[0]
        == "ServerSideEncryptionConfigurationNotFoundError"
    )
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})

    by_default = s3.put_object(Bucket=bucket, Key="k", Body=LEAK * 1000)
    by_wish = s3.put_object(Bucket=bucket, Key="l", Body=b"x", ServerSideEncryption="AES256")

    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"] == [rule]
    assert (by_default["ServerSideEncryption"], by_default["SSEKMSKeyId"]) == ("aws:kms", key)
    assert by_wish["ServerSideEncryption"] == "AES256"
    assert body(s3, Bucket=bucket, Key="k") == LEAK * 1000
    s3.delete_bucket_encryption(Bucket=bucket)
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="k", Body=b"x")


@pytest.mark.parametrize(
    "asked",
    [
        {"ServerSideEncryption": "AES256", "SSEKMSKeyId": "alias/aws/s3"},
        {"ServerSideEncryption": "AES256", **CUSTOMER},
        {"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "no json"},
    ],
)
def test_wishes_that_contradict_themselves_are_refused(s3: Any, bucket: str, asked: dict[str, str]) -> None:
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **asked) == ("InvalidArgument", 400)


@pytest.mark.parametrize("size", [1000, 2 * MIB])
def test_encrypted_bytes_that_the_disk_changed_are_not_handed_out(
    s3: Any, server: Server, bucket: str, size: int
) -> None:
    before = set(_files(server))
    s3.put_object(Bucket=bucket, Key="k", Body=os.urandom(size), ServerSideEncryption="AES256")
    new = set(_files(server)) - before
    if size == 1000:
        assert not new, "small ones lie in the store, whose rows have checksums"
        return
    (path,) = new
    data = bytearray(path.read_bytes())
    data[100_000] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)

    with pytest.raises(Exception, match=r"InternalError|IncompleteRead|Connection broken|ended prematurely"):
        body(s3, Bucket=bucket, Key="k")
    assert refused(s3.get_object, Bucket=bucket, Key="k", Range="bytes=99000-99010") == ("InternalError", 500)


def _files(server: Server) -> list[Path]:
    return [path for path in (server.data / "objects").rglob("*") if path.is_file()]
