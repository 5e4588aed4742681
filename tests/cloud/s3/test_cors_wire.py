"""What a browser asks before it lets a page of another origin use a bucket, and what it looks for in answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running

PAGE = "https://app.example.org"
RULE = {
    "AllowedOrigins": ["https://*.example.org"],
    "AllowedMethods": ["GET", "PUT"],
    "AllowedHeaders": ["content-type", "x-amz-*"],
    "ExposeHeaders": ["ETag"],
    "MaxAgeSeconds": 600,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("cors") / "server", "--ephemeral") as server:
        yield server


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = "b-" + hashlib.md5(request.node.nodeid.encode()).hexdigest()
    s3.create_bucket(Bucket=name)
    return name


def answer(url: str, method: str, **headers: str) -> tuple[int, dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(url, method=method, headers=named)) as response:
            return response.status, {name.lower(): value for name, value in response.headers.items()}
    except HTTPError as error:
        return error.code, {name.lower(): value for name, value in error.headers.items()}


def preflight(
    server: Server, bucket: str, method: str, origin: str = PAGE, **more: str
) -> tuple[int, dict[str, str]]:
    asked = {"Origin": origin, "Access_Control_Request_Method": method, **more}
    return answer(f"{server.url}/{bucket}/some/key", "OPTIONS", **asked)


def test_a_preflight_is_answered_by_the_rules(server: Server, s3: Any, bucket: str) -> None:
    assert preflight(server, bucket, "PUT")[0] == 403
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [RULE]})

    status, headers = preflight(
        server, bucket, "PUT", Access_Control_Request_Headers="X-Amz-Date, content-type"
    )

    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-methods"] == "GET, PUT"
    assert headers["access-control-allow-headers"] == "x-amz-date, content-type"
    assert headers["access-control-max-age"] == "600"
    assert preflight(server, bucket, "DELETE")[0] == 403
    assert preflight(server, bucket, "PUT", "https://example.net")[0] == 403
    assert preflight(server, bucket, "PUT", Access_Control_Request_Headers="authorization")[0] == 403
    assert preflight(server, "no-such-bucket", "PUT")[0] == 403
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [RULE]
    s3.delete_bucket_cors(Bucket=bucket)
    assert preflight(server, bucket, "PUT")[0] == 403


def test_answers_carry_the_headers_only_for_pages_that_may(server: Server, s3: Any, bucket: str) -> None:
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [RULE]})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    gone = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "none"})

    assert answer(link, "GET", Origin=PAGE)[1]["access-control-allow-origin"] == PAGE
    assert answer(link, "GET", Origin=PAGE)[1]["access-control-expose-headers"] == "ETag"
    assert "access-control-allow-origin" not in answer(link, "GET", Origin="https://example.net")[1]
    assert "access-control-allow-origin" not in answer(link, "GET")[1]
    status, headers = answer(gone, "GET", Origin=PAGE)
    assert (status, headers["access-control-allow-origin"]) == (404, PAGE)


def test_every_origin_is_told_by_a_star(server: Server, s3: Any, bucket: str) -> None:
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})

    status, headers = preflight(server, bucket, "GET")

    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    "bad",
    [{"AllowedMethods": ["PATCH"]}, {"AllowedOrigins": ["https://*.*.org"]}, {"AllowedHeaders": ["*-*"]}],
)
def test_rules_that_cannot_be_are_refused(s3: Any, bucket: str, bad: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="InvalidRequest"):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [{**RULE, **bad}]})
