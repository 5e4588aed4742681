"""What only the whole server can show of S3's wire: forms end in stored objects, hosts name buckets, refusals leave nothing."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running

from .test_post_forms import BOUNDARY, multipart


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    variables = {"COLONNADE_BUCKET_HOSTS": "s3.localhost"}
    with running(tmp_path_factory.mktemp("s3") / "server", "--ephemeral", variables=variables) as server:
        server.client("s3", region_name="us-east-1").create_bucket(Bucket="photos")
        yield server


def posted(server: Server, host: str, path: str, body: bytes) -> int:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection.request("POST", path, body, headers | ({"Host": host} if host else {}))
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(("host", "path"), [("", "/photos"), ("photos.s3.localhost", "/")])
def test_a_form_ends_in_a_stored_object(server: Server, host: str, path: str) -> None:
    client = server.client("s3")
    key = f"in/{host or 'path'}"
    data = bytes(range(256)) * 40_000
    limit = ["content-length-range", 0, len(data)]
    fields = client.generate_presigned_post("photos", key, Conditions=[limit])["fields"]

    stored = posted(server, host, path, multipart(fields, data))
    refused = posted(server, host, path, multipart({**fields, "key": key}, data + b"x"))

    assert (stored, refused) == (204, 400)
    answer = client.get_object(Bucket="photos", Key=key)
    assert answer["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert answer["Body"].read() == data


def test_a_form_that_is_too_large_leaves_nothing(server: Server) -> None:
    client = server.client("s3")
    limit = ["content-length-range", 0, 1000]
    fields = client.generate_presigned_post("photos", "too-large", Conditions=[limit])["fields"]

    status = posted(server, "", "/photos", multipart(fields, bytes(2_000_000)))

    assert status == 400
    with pytest.raises(ClientError) as caught:
        client.head_object(Bucket="photos", Key="too-large")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_form_for_a_bucket_that_is_not_there_says_so(server: Server) -> None:
    fields = server.client("s3").generate_presigned_post("nowhere", "k")["fields"]

    assert posted(server, "", "/nowhere", multipart(fields, b"x")) == 404
