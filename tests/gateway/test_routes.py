"""Which operation a method, a path, a query and headers mean."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from colonnade.gateway import plans, routes, services
from colonnade.kernel import models

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:f"


@pytest.mark.parametrize(
    ("signing_name", "request_line", "headers", "expected"),
    [
        ("s3", "GET /", [], "s3:ListBuckets"),
        ("s3", "GET /b", [], "s3:ListObjects"),
        ("s3", "GET /b/", [], "s3:ListObjects"),
        ("s3", "GET /b?list-type=2&prefix=x", [], "s3:ListObjectsV2"),
        ("s3", "GET /b?list-type=1", [], "s3:ListObjects"),
        ("s3", "GET /b?analytics", [], "s3:ListBucketAnalyticsConfigurations"),
        ("s3", "GET /b?analytics&id=1", [], "s3:GetBucketAnalyticsConfiguration"),
        ("s3", "GET /b?notification", [], "s3:GetBucketNotificationConfiguration"),
        ("s3", "GET /b/k?uploadId=1", [], "s3:ListParts"),
        ("s3", "GET /b/k?x-id=GetObject", [], "s3:GetObject"),
        ("s3", "PUT /b/k", [], "s3:PutObject"),
        ("s3", "PUT /b/k", [b"x-amz-copy-source"], "s3:CopyObject"),
        ("s3", "PUT /b/k?partNumber=1&uploadId=2", [], "s3:UploadPart"),
        ("s3", "PUT /b/k?partNumber=1&uploadId=2", [b"x-amz-copy-source"], "s3:UploadPartCopy"),
        ("s3", "POST /b/k?uploads", [], "s3:CreateMultipartUpload"),
        ("s3", "POST /b/k?uploadId=1", [], "s3:CompleteMultipartUpload"),
        ("s3", "POST /b?delete", [], "s3:DeleteObjects"),
        ("sagemaker", "POST /endpoints/e/invocations", [], "sagemaker-runtime:InvokeEndpoint"),
        ("sagemaker", "POST /endpoints/e/async-invocations", [], "sagemaker-runtime:InvokeEndpointAsync"),
        ("sagemaker", "PUT /FeatureGroup/f", [], "sagemaker-featurestore-runtime:PutRecord"),
        ("sagemaker", "PUT /BatchPutMetrics", [], "sagemaker-metrics:BatchPutMetrics"),
        ("lambda", "GET /2015-03-31/functions/", [], "lambda:ListFunctions"),
        ("lambda", "GET /2015-03-31/functions", [], "lambda:ListFunctions"),
    ],
)
def test_requests_mean_one_operation(
    signing_name: str, request_line: str, headers: list[bytes], expected: str
) -> None:
    method, _, target = request_line.partition(" ")
    path, _, query = target.partition("?")
    pairs = dict(parse_qsl(query, keep_blank_values=True))

    found = routes.match(signing_name, method, path, pairs, dict.fromkeys(headers, b"x"))

    assert found is not None
    assert f"{found.service}:{found.operation}" == expected


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/b/a//b/", "a//b/"),
        ("/b//x", "/x"),
        ("/b/%2F", "/"),
        ("/b/..", ".."),
        ("/b/a+b%2Bc", "a+b+c"),
        ("/b/%25", "%"),
    ],
)
def test_keys_are_decoded_once_and_never_tidied(path: str, key: str) -> None:
    found = routes.match("s3", "GET", path, {}, {})

    assert found is not None
    assert found.labels == {"Bucket": "b", "Key": key}


@pytest.mark.parametrize("path", [f"/2017-03-31/tags/{ARN}", f"/2017-03-31/tags/{ARN.replace(':', '%3A')}"])
def test_arns_may_come_unencoded(path: str) -> None:
    found = routes.match("lambda", "GET", path, {}, {})

    assert found is not None
    assert found.labels == {"Resource": ARN}


def test_an_arn_with_slashes_reaches_the_last_label_whole() -> None:
    arn = "arn:aws:bedrock:eu-west-1:123456789012:custom-model/a/b"

    found = routes.match("bedrock", "GET", f"/custom-models/{arn}", {}, {})

    assert found is not None
    assert found.labels == {"modelIdentifier": arn}


def test_no_route_is_no_operation() -> None:
    assert routes.match("lambda", "GET", "/nowhere", {}, {}) is None
    assert routes.match("lambda", "BREW", "/", {}, {}) is None
    assert routes.match("nobody", "GET", "/", {}, {}) is None


def test_every_service_in_the_table_exists_and_signs_so() -> None:
    wrong = {
        (signing_name, service)
        for signing_name, shared in services.SHARED.items()
        for service in shared
        if signing_name not in ("cloudwatch",) and models.service(service).signing_name != signing_name
    }

    assert wrong == set()


def test_targets_of_one_signing_name_are_told_apart_by_their_prefix() -> None:
    found = plans.by_target("dynamodb", b"DynamoDBStreams_20120810.GetRecords")

    assert found is not None
    assert (found.service, found.operation) == ("dynamodbstreams", "GetRecords")
    assert plans.by_target("dynamodb", b"SageMaker.CreateModel") is None
    assert plans.by_target("sagemaker", b"SageMaker.Nonsense") is None
