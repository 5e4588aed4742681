"""The traps of AWS's wire, one test each, by the numbers of the list that the protocol layer was written against.

Each is a short real check; what has more to say stands in the file that its test names.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore import auth, xform_name
from botocore.exceptions import ClientError

from colonnade.gateway import app, plans, routes, services
from colonnade.gateway.protocols import cbor_items
from colonnade.kernel import models
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ports import Credential

from .conftest import ROOT, SECRET, Gateway
from .test_every_codec import planned
from .test_post_forms import Kept, multipart, post, signed_form
from .test_signatures import SignedAsDeclared, chunked, send, signed
from .test_transport import open_request

CORE = [
    "sagemaker",
    "sagemaker-runtime",
    "sagemaker-metrics",
    "sagemaker-featurestore-runtime",
    "s3",
    "iam",
    "sts",
    "cloudwatch",
    "lambda",
]


def asked(
    gateway: Gateway,
    service: str,
    method: str,
    target: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """A signed request as written here; status, headers and body as they came."""
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
    request = signed(gateway, signer, service, method, target, body, headers)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    try:
        connection.request(method, request["target"], body, request["headers"])
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def routed(signing_name: str, method: str, target: str, headers: dict[bytes, bytes] | None = None) -> str:
    path, _, query = target.partition("?")
    pairs = dict(part.partition("=")[::2] for part in query.split("&") if part)
    found = routes.match(signing_name, method, path, pairs, headers or {})
    return f"{found.service}:{found.operation}" if found else ""


def test_trap_01_services_that_share_a_signing_name_are_told_apart() -> None:
    by_route: dict[tuple[str, str], list[str]] = {}
    for service in services.signed_as("sagemaker"):
        if services.rest_protocol(service):
            for name in models.service(service).operation_names:
                path = re.sub(r"\{.*?\}", "{}", models.auth_path(service, name))
                method = models.operation(service, name).http["method"]
                by_route.setdefault((method, path), []).append(f"{service}:{name}")

    assert len(services.signed_as("sagemaker")) == 9
    assert [names for names in by_route.values() if len(names) > 1] == []
    assert routed("sagemaker", "POST", "/endpoints/e/invocations") == "sagemaker-runtime:InvokeEndpoint"
    plan = plans.by_target("sagemaker", b"SageMaker.CreateModel")
    assert plan is not None
    assert (plan.service, plan.operation) == ("sagemaker", "CreateModel")
    assert services.signed_as("lex") == ("lexv2-runtime", "lexv2-models")
    assert services.signed_as("greengrass") == ("greengrassv2",)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_trap_02_requests_without_an_authorization_header(gateway: Gateway, version: str) -> None:
    kept = Kept(gateway)
    gateway.on("s3", "GetObject", lambda call: {"Body": call.principal.arn.encode()})
    gateway.on("sts", "AssumeRoleWithSAML", lambda call: {"Issuer": call.parameters["SAMLAssertion"]})
    client = gateway.client("s3", signature_version=version)

    link = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "k"}, ExpiresIn=60)
    form = post(gateway, multipart(signed_form(gateway, version), b"data"))
    saml = gateway.client("sts").assume_role_with_saml(
        RoleArn="arn:aws:iam::123456789012:role/reader",
        PrincipalArn="arn:aws:iam::123456789012:saml-provider/p",
        SAMLAssertion="PHNhbWw+",
    )
    with pytest.raises(urllib.error.HTTPError) as anonymous:
        urllib.request.urlopen(f"{gateway.url}/bucket/key")

    assert ("AWSAccessKeyId" in link) == (version == "s3")
    assert urllib.request.urlopen(link).read() == ROOT.arn.encode()
    assert (form[0], kept.calls[0]["Body"]) == (204, b"data")
    assert saml["Issuer"] == "PHNhbWw+"
    assert anonymous.value.code == 403
    assert b"<Code>AccessDenied</Code>" in anonymous.value.read()


@pytest.mark.parametrize(
    ("method", "target", "headers", "operation"),
    [
        ("PUT", "/b", {}, "CreateBucket"),
        ("PUT", "/b?tagging", {}, "PutBucketTagging"),
        ("PUT", "/b?tagging=", {}, "PutBucketTagging"),
        ("GET", "/b", {}, "ListObjects"),
        ("GET", "/b?list-type=2", {}, "ListObjectsV2"),
        ("GET", "/b?uploads", {}, "ListMultipartUploads"),
        ("POST", "/b?delete", {}, "DeleteObjects"),
        ("POST", "/b/k?uploads", {}, "CreateMultipartUpload"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", {}, "UploadPart"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", {b"x-amz-copy-source": b"b/o"}, "UploadPartCopy"),
        ("PUT", "/b/k", {b"x-amz-copy-source": b"b/o"}, "CopyObject"),
    ],
)
def test_trap_03_s3_routes_are_told_apart_by_query_keys_and_headers(
    method: str, target: str, headers: dict[bytes, bytes], operation: str
) -> None:
    assert routed("s3", method, target, headers) == f"s3:{operation}"


def test_trap_03_lambda_has_such_a_pair_too() -> None:
    assert routed("lambda", "GET", "/2018-10-31/layers") == "lambda:ListLayers"
    by_arn = routed("lambda", "GET", "/2018-10-31/layers?find=LayerVersion&Arn=a")
    assert by_arn == "lambda:GetLayerVersionByArn"


def test_trap_04_labels_are_decoded_once_from_the_path_as_sent(gateway: Gateway) -> None:
    keys: list[str] = []
    gateway.on("s3", "HeadObject", lambda call: keys.append(call.parameters["Key"]))
    functions: list[str] = []
    gateway.on("lambda", "GetFunction", lambda call: functions.append(call.parameters["FunctionName"]))
    gateway.on("lambda", "ListTags", lambda call: functions.append(call.parameters["Resource"]))
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    wanted = ["a//b", "x/", "a+b", "../up", "a%2Fb", "a b"]

    for key in wanted:
        gateway.client("s3").head_object(Bucket="bucket", Key=key)
    gateway.client("lambda").get_function(FunctionName=arn)
    asked(gateway, "lambda", "GET", f"/2017-03-31/tags/{arn}")

    assert keys == wanted
    assert functions == [arn, arn]


def test_trap_05_a_host_prefix_does_not_matter_and_no_core_service_has_one(gateway: Gateway) -> None:
    gateway.on("logs", "DescribeLogGroups", lambda call: {"nextToken": "here"})
    prefixed = [
        f"{service}:{name}"
        for service in CORE
        for name in models.service(service).operation_names
        if models.operation(service, name).endpoint
    ]
    headers = {"Host": "streaming-logs.localhost", "X-Amz-Target": "Logs_20140328.DescribeLogGroups"}

    status, _, body = asked(gateway, "logs", "POST", "/", b"{}", headers)

    # S3's one is for object Lambdas, which answer from elsewhere.
    assert prefixed == ["s3:WriteGetObjectResponse"]
    assert (status, json.loads(body)) == (200, {"nextToken": "here"})


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("photos.s3.example.org:4566", "/photos/a/b"),
        ("my.photos.s3.example.org", "/my.photos/a/b"),
        ("s3.example.org", "/a/b"),
        ("photos.localhost", "/a/b"),
        ("photos-s3.example.org", "/a/b"),
        ("127.0.0.1", "/a/b"),
    ],
)
def test_trap_06_hosts_name_buckets_only_under_configured_suffixes(host: str, path: str) -> None:
    # Over the wire: test_transport.
    assert app._with_bucket("/a/b", {b"host": host.encode()}, ["s3.example.org"]) == path


def test_trap_07_the_request_chooses_the_protocol(gateway: Gateway) -> None:
    gateway.on("comprehend", "DetectSentiment", lambda call: {"Sentiment": call.parameters["Text"]})
    wanted = {"Text": "POSITIVE", "LanguageCode": "en"}
    target = {"X-Amz-Target": "Comprehend_20171127.DetectSentiment"}
    path = "/service/Comprehend_20171127/operation/DetectSentiment"
    smithy = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}

    as_json = asked(gateway, "comprehend", "POST", "/", json.dumps(wanted).encode(), target)
    as_cbor = asked(gateway, "comprehend", "POST", path, cbor_items.encode(wanted), smithy)

    assert json.loads(as_json[2]) == {"Sentiment": "POSITIVE"}
    assert cbor_items.decode(as_cbor[2]) == {"Sentiment": "POSITIVE"}
    assert as_cbor[1]["smithy-protocol"] == "rpc-v2-cbor"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "raised", "code"),
    [
        ("cloudwatch", "GetDashboard", {"DashboardName": "d"}, "DashboardNotFoundError", "ResourceNotFound"),
        # SQS's model does not tell its old names any more, but its clients go on to look for them.
        (
            "sqs",
            "GetQueueUrl",
            {"QueueName": "q"},
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
    ],
)
def test_trap_08_query_compatible_services_name_the_query_error_too(
    gateway: Gateway, service: str, operation: str, parameters: dict[str, str], raised: str, code: str
) -> None:
    def missing(call: Any) -> None:
        raise ServiceError(raised, "not here")

    gateway.on(service, operation, missing)
    client = gateway.client(service)

    with pytest.raises(ClientError) as caught:
        getattr(client, xform_name(operation))(**parameters)

    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert caught.value.response["Error"]["Code"] == code
    assert headers["x-amzn-query-error"] == f"{code};Sender"
    assert headers["content-type"] == "application/x-amz-json-1.0"


def test_trap_09_forms_hold_lists_maps_blanks_and_empty_lists(gateway: Gateway) -> None:
    seen: list[Any] = []
    gateway.on("iam", "CreateUser", lambda call: seen.append(dict(call.parameters)))
    gateway.on("iam", "SimulateCustomPolicy", lambda call: seen.append(dict(call.parameters)))
    gateway.on("iam", "DeactivateMFADevice", lambda call: seen.append(dict(call.parameters)))
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    create = b"UserName=ann&Tags.member.1.Key=a+b&Tags.member.1.Value=c%2Bd&Path=%2F"
    simulate = b"PolicyInputList.member.1=%7B%7D&ActionNames=&Action=SimulateCustomPolicy&Version=2010-05-08"

    asked(gateway, "iam", "POST", "/?Action=CreateUser&Version=2010-05-08", create, form)
    status, _, body = asked(gateway, "iam", "POST", "/", simulate, form)

    tags = [{"Key": "a b", "Value": "c+d"}]
    assert seen == [
        {"UserName": "ann", "Path": "/", "Tags": tags},
        {"PolicyInputList": ["{}"], "ActionNames": []},
    ]
    assert status == 200, body


def test_trap_10_one_shape_has_members_everywhere_and_bodies_come_raw(gateway: Gateway) -> None:
    seen: list[Any] = []

    def noted(call: Any) -> dict[str, Any]:
        seen.append(dict(call.parameters))
        return {"Body": b"\xff", "StatusCode": 202, "Payload": b"\x00"}

    gateway.on("sagemaker-runtime", "InvokeEndpoint", noted)
    gateway.on("lambda", "Invoke", noted)
    gateway.on("s3", "GetObjectAttributes", noted)
    header = {"X-Amzn-SageMaker-Target-Variant": "v"}

    raw = asked(gateway, "sagemaker", "POST", "/endpoints/e/invocations", b"\x00\xff", header)
    invoked = asked(gateway, "lambda", "POST", "/2015-03-31/functions/f/invocations?Qualifier=1", b"{}")
    asked(gateway, "s3", "GET", "/b/k?attributes", headers={"x-amz-object-attributes": "ETag, ObjectSize"})

    assert seen == [
        {"EndpointName": "e", "Body": b"\x00\xff", "TargetVariant": "v"},
        {"FunctionName": "f", "Qualifier": "1", "Payload": b"{}"},
        {"Bucket": "b", "Key": "k", "ObjectAttributes": ["ETag", "ObjectSize"]},
    ]
    assert (raw[0], raw[2]) == (200, b"\xff")
    assert (invoked[0], invoked[2]) == (202, b"\x00")


MOMENT = 1_700_000_000.25


@pytest.mark.parametrize(
    ("service", "operation", "protocol", "result", "wanted"),
    [
        ("sagemaker", "DescribeModel", "json", {"CreationTime": MOMENT}, b'{"CreationTime":1700000000.25}'),
        ("macie2", "GetMacieSession", "rest-json", {"createdAt": MOMENT}, b'"2023-11-14T22:13:20.250Z"'),
        ("iam", "CreateUser", "query", {"User": {"CreateDate": 1_700_000_000.0}}, b">2023-11-14T22:13:20Z<"),
        ("s3", "ListBuckets", "rest-xml", {"Buckets": [{"CreationDate": 1_700_000_000.0}]}, b":20.000Z<"),
        (
            "cloudwatch",
            "GetMetricData",
            "smithy-rpc-v2-cbor",
            {"MetricDataResults": [{"Timestamps": [MOMENT]}]},
            b"\xc1\xfb" + struct.pack(">d", MOMENT),
        ),
    ],
)
def test_trap_11_timestamps_have_each_protocols_own_form(
    service: str, operation: str, protocol: str, result: dict[str, Any], wanted: bytes
) -> None:
    exchange = planned(models.operation(service, operation), protocol)

    assert exchange.plan is not None
    response = exchange.plan.serialise(exchange, result)

    assert isinstance(response.body, bytes)
    assert wanted in response.body


def test_trap_11_headers_have_rfc_822() -> None:
    exchange = planned(models.operation("s3", "HeadObject"), "rest-xml")
    assert exchange.plan is not None

    response = exchange.plan.serialise(exchange, {"LastModified": MOMENT})

    assert dict(response.headers)[b"last-modified"] == b"Tue, 14 Nov 2023 22:13:20 GMT"


def expecting(gateway: Gateway, length: int) -> socket.socket:
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD", "Expect": "100-continue"}
    sent = signed(gateway, SignedAsDeclared, "s3", "PUT", "/bucket/key", b"", headers)
    return open_request(gateway, sent, length)


def test_trap_12_a_refusal_comes_before_the_body_and_the_go_ahead_at_once(gateway: Gateway) -> None:
    def refuse(call: Any) -> None:
        raise ServiceError("NoSuchBucket", "The specified bucket does not exist", status=404)

    gateway.on("s3", "PutObject", refuse)
    with expecting(gateway, 10**9) as connection:
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"connection: close" in answer.lower()

    gateway.on("s3", "PutObject", lambda call: {"ETag": str(len(call.parameters["Body"].read()))})
    with expecting(gateway, 300_000) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100")
        connection.sendall(bytes(300_000))
        assert b"etag: 300000" in connection.recv(65_536).lower()


@pytest.mark.parametrize(
    "kind", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"]
)
def test_trap_13_aws_chunks_and_their_trailers_are_framing_and_not_content(
    gateway: Gateway, kind: str
) -> None:
    # Sizes, tampering and breakage: test_signatures.
    seen: list[Any] = []

    def put(call: Any) -> None:
        body = call.parameters["Body"]
        seen.append((body.length, body.read(), dict(body.trailers), call.parameters.get("ContentEncoding")))

    gateway.on("s3", "PutObject", put)

    status, body = send(gateway, chunked(gateway, [b"abc", b"de"], kind, b"x-amz-checksum-crc32:AAAA"))

    assert status == 200, body
    assert seen == [(5, b"abcde", {"x-amz-checksum-crc32": "AAAA"}, None)]


def test_trap_14_compressed_requests_are_unpacked(gateway: Gateway) -> None:
    seen: list[Any] = []
    gateway.on("cloudwatch", "PutMetricData", lambda call: seen.append(call.parameters["Namespace"]))
    headers = {"X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData", "Content-Encoding": "gzip"}
    body = gzip.compress(b'{"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1}]}')

    status, _, answer = asked(gateway, "monitoring", "POST", "/", body, headers)

    assert (status, seen) == (200, ["n"]), answer


def test_trap_15_signatures_cover_what_each_client_signs(gateway: Gateway) -> None:
    uploaded: list[bytes] = []
    gateway.on("s3", "PutObject", lambda call: uploaded.append(call.parameters["Body"].read()))
    gateway.on("s3", "GetObject", lambda call: {"Body": b""})
    gateway.on("s3", "HeadObject", lambda call: {})
    gateway.on("lambda", "GetFunction", lambda call: {})
    gateway.principals.credentials["ASIA1"] = Credential("ASIA1", SECRET, "a/token+", None, ROOT)
    temporary = {"aws_access_key_id": "ASIA1", "aws_session_token": "a/token+"}
    unsigned = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}

    loose = signed(gateway, SignedAsDeclared, "s3", "PUT", "/b/k", b"what was signed", unsigned)
    loosely = send(gateway, {**loose, "body": b"something else"})
    twice = asked(
        gateway,
        "lambda",
        "GET",
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af",
    )
    link = gateway.client("s3", signature_version="s3v4", keys=temporary).generate_presigned_url(
        "get_object", {"Bucket": "b", "Key": "k"}
    )
    held = urllib.request.urlopen(link).status
    for changed in (
        urllib.request.Request(link, method="HEAD"),
        urllib.request.Request(link.replace("a%2Ftoken%2B", "other")),
        urllib.request.Request(link, headers={"Host": "127.0.0.1"}),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(changed)
        assert caught.value.code in (400, 403)

    assert loosely[0] == 200
    assert uploaded == [b"something else"]
    assert twice[0] == 200, twice
    assert held == 200


ERRORS = {
    "json": (
        "sagemaker",
        "sagemaker",
        "DescribeModel",
        "POST",
        "/",
        {"X-Amz-Target": "SageMaker.DescribeModel"},
    ),
    "rest-json": ("lambda", "lambda", "GetFunction", "GET", "/2015-03-31/functions/f", {}),
    "query": ("iam", "iam", "GetUser", "GET", "/?Action=GetUser&Version=2010-05-08", {}),
    "s3": ("s3", "s3", "GetObject", "GET", "/b/k", {}),
}


@pytest.mark.parametrize("protocol", ERRORS)
def test_trap_16_errors_have_each_protocols_own_shape(gateway: Gateway, protocol: str) -> None:
    codes = {
        "json": "ResourceNotFound",
        "rest-json": "ResourceNotFoundException",
        "query": "NoSuchEntityException",
        "s3": "NoSuchKey",
    }

    def missing(call: Any) -> None:
        raise ServiceError(codes[protocol], "not here")

    service, signing_name, operation, method, target, extra = ERRORS[protocol]
    gateway.on(service, operation, missing)
    body = b'{"ModelName": "m"}' if protocol == "json" else b""

    status, headers, answer = asked(gateway, signing_name, method, target, body, extra)

    if protocol == "json":
        assert status == 400
        assert json.loads(answer) == {"__type": "ResourceNotFound", "Message": "not here"}
    elif protocol == "rest-json":
        assert (status, headers["x-amzn-errortype"]) == (404, "ResourceNotFoundException")
        assert json.loads(answer)["Message"] == "not here"
    else:
        root = ElementTree.fromstring(answer)
        tree = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
        code = {"query": "NoSuchEntity", "s3": "NoSuchKey"}[protocol]
        assert (status, tree["Code"], tree["Message"]) == (404, code, "not here")
        wanted = {"Type", "RequestId"} if protocol == "query" else {"Resource", "RequestId", "HostId"}
        assert wanted <= tree.keys()
    assert ("x-amz-request-id" in headers and "x-amz-id-2" in headers) == (protocol == "s3")
    assert ("x-amzn-requestid" in headers) == (protocol != "s3")


def test_trap_16_a_head_request_is_refused_without_a_body(gateway: Gateway) -> None:
    def missing(call: Any) -> None:
        raise ServiceError("NoSuchKey", "not here", status=404)

    gateway.on("s3", "HeadObject", missing)

    status, _, body = asked(gateway, "s3", "HEAD", "/b/k")

    assert (status, body) == (404, b"")


def test_trap_17_codes_and_texts_that_no_model_has_arrive_as_they_were_raised(gateway: Gateway) -> None:
    def existing(call: Any) -> None:
        raise ServiceError("ValidationException", 'Cannot create already existing model "m".')

    gateway.on("sagemaker", "CreateModel", existing)

    with pytest.raises(ClientError) as caught:
        gateway.client("sagemaker").create_model(ModelName="m")

    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": 'Cannot create already existing model "m".',
    }


def test_trap_18_absent_members_are_absent(gateway: Gateway) -> None:
    gateway.on("sagemaker", "DescribeModel", lambda call: {"ModelName": "m", "VpcConfig": None})
    headers = {"X-Amz-Target": "SageMaker.DescribeModel"}

    _, _, body = asked(gateway, "sagemaker", "POST", "/", b'{"ModelName": "m"}', headers)

    assert json.loads(body) == {"ModelName": "m"}


@pytest.mark.parametrize(
    ("service", "method", "target", "headers"),
    [
        ("sagemaker", "POST", "/", {"X-Amz-Target": "SageMaker.MakeCoffee"}),
        ("sagemaker", "POST", "/", {"X-Amz-Target": "SageMaker.CreateModel"}),
        ("lambda", "GET", "/no/such/path", {}),
        ("lambda", "GET", "/2015-03-31/functions/f", {}),
        ("iam", "GET", "/?Action=MakeCoffee&Version=2010-05-08", {}),
        ("s3", "BREW", "/b/k", {}),
        ("s3", "GET", "/b/k", {}),
        ("comprehend", "POST", "/service/x/operation/y", {"smithy-protocol": "rpc-v2-cbor"}),
        ("nobody", "GET", "/", {}),
    ],
)
def test_trap_19_what_is_unknown_or_unwritten_is_refused_once_and_for_all(
    gateway: Gateway, service: str, method: str, target: str, headers: dict[str, str]
) -> None:
    status, found, body = asked(gateway, service, method, target, headers=headers)

    assert 400 <= status < 500 or status == 501
    assert "html" not in found["content-type"]
    assert b"<html" not in body
    assert body


def frames_of(gateway: Gateway, service: str, target: str, headers: dict[str, str]) -> list[bytes]:
    _, found, body = asked(gateway, service, "POST", target, b'{"logGroupIdentifiers":["g"]}', headers)
    assert found["content-type"] == "application/vnd.amazon.eventstream"
    frames = []
    while body:
        (length,) = struct.unpack(">I", body[:4])
        frames.append(body[:length])
        body = body[length:]
    return frames


def test_trap_20_rpc_streams_open_with_an_initial_response_and_rest_ones_do_not(gateway: Gateway) -> None:
    # Exceptions, flushing and all streams with boto3's parser: test_event_streams, test_every_codec.
    def started() -> Iterator[Any]:
        yield {"sessionStart": {"sessionId": "s"}}

    part = {"PayloadPart": {"Bytes": b"\x00raw"}}
    gateway.on("logs", "StartLiveTail", lambda call: {"responseStream": started()})
    gateway.on("sagemaker-runtime", "InvokeEndpointWithResponseStream", lambda call: {"Body": [part]})

    rpc = frames_of(gateway, "logs", "/", {"X-Amz-Target": "Logs_20140328.StartLiveTail"})
    rest = frames_of(gateway, "sagemaker", "/endpoints/e/invocations-response-stream", {})

    assert [b"initial-response" in frame for frame in rpc] == [True, False]
    assert len(rest) == 1
    assert rest[0].endswith(b"\x00raw" + rest[0][-4:])


def test_trap_21_s3_answers_as_s3_and_not_as_its_model(gateway: Gateway) -> None:
    gateway.on("s3", "ListBuckets", lambda call: {"Buckets": [], "Owner": {"ID": "i"}})
    gateway.on("s3", "ListObjectsV2", lambda call: {"KeyCount": 0, "Name": "b", "IsTruncated": False})
    gateway.on("s3", "GetBucketLocation", lambda call: {"LocationConstraint": "eu-west-1"})
    gateway.on("s3", "PutBucketPolicy", lambda call: {})
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"

    listed = ElementTree.fromstring(asked(gateway, "s3", "GET", "/")[2])
    objects = ElementTree.fromstring(asked(gateway, "s3", "GET", "/b?list-type=2")[2])
    location = ElementTree.fromstring(asked(gateway, "s3", "GET", "/b?location")[2])
    status = asked(gateway, "s3", "PUT", "/b?policy", b"{}")[0]

    assert listed.tag == f"{space}ListAllMyBucketsResult"
    assert objects.tag == f"{space}ListBucketResult"
    # In the model's order, whatever the result's.
    assert [each.tag.removeprefix(space) for each in objects] == ["IsTruncated", "Name", "KeyCount"]
    assert (location.tag, location.text, list(location)) == (f"{space}LocationConstraint", "eu-west-1", [])
    assert status == 204


def test_trap_22_bodies_are_streams_from_end_to_end(gateway: Gateway) -> None:
    begun = threading.Event()

    def put(call: Any) -> dict[str, Any]:
        body = call.parameters["Body"]
        first = len(body.read(1000))
        begun.set()
        return {"ETag": str(first + len(body.read()))}

    gateway.on("s3", "PutObject", put)
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    sent = signed(gateway, SignedAsDeclared, "s3", "PUT", "/bucket/key", b"", headers)

    with open_request(gateway, sent, 4_000_000) as connection:
        connection.sendall(bytes(3_000_000))
        # The operation reads while the client still has something to send.
        assert begun.wait(60)
        connection.sendall(bytes(1_000_000))
        assert b"etag: 4000000" in connection.recv(65_536).lower()
    # Six mebibytes and no more for an invocation: test_transport.
    assert plans.plan("sagemaker-runtime", "InvokeEndpoint", "rest-json").body_limit == 6 * 1024 * 1024


def test_trap_23_idempotency_tokens_that_clients_fill_in_reach_the_operation(gateway: Gateway) -> None:
    seen: list[str] = []
    gateway.on(
        "sagemaker", "StartPipelineExecution", lambda call: seen.append(call.parameters["ClientRequestToken"])
    )

    for _ in range(2):
        gateway.client("sagemaker").start_pipeline_execution(PipelineName="p")

    assert len(set(seen)) == 2
    assert all(len(token) == 36 for token in seen)


def test_trap_24_region_and_partition_come_from_the_scope(gateway: Gateway) -> None:
    seen: list[Any] = []
    gateway.on(
        "sagemaker", "ListModels", lambda call: seen.append((call.account, call.region, call.partition))
    )
    headers = {"X-Amz-Target": "SageMaker.ListModels"}

    for region in ("eu-west-1", "cn-north-1", "us-gov-west-1"):
        request = signed_in(gateway, region, headers)
        assert send(gateway, request)[0] == 200

    assert seen == [
        ("123456789012", "eu-west-1", "aws"),
        ("123456789012", "cn-north-1", "aws-cn"),
        ("123456789012", "us-gov-west-1", "aws-us-gov"),
    ]


def signed_in(gateway: Gateway, region: str, headers: dict[str, str]) -> dict[str, Any]:
    class Regional(auth.SigV4Auth):
        def __init__(self, credentials: Any, service: str, _: str) -> None:
            super().__init__(credentials, service, region)

    return signed(gateway, Regional, "sagemaker", "POST", "/", b"{}", headers)


def test_trap_25_models_are_loaded_at_their_first_use() -> None:
    code = (
        "import colonnade.gateway.app\n"
        "from colonnade.kernel import models\n"
        "assert models.service.cache_info().currsize == 0, models.service.cache_info()\n"
        "from colonnade.gateway import plans\n"
        "assert plans.by_action('sts', 'GetCallerIdentity') is not None\n"
        "assert models.service.cache_info().currsize == 1\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_every_trap_of_the_list_has_its_test() -> None:
    numbers = {int(name[10:12]) for name in globals() if re.match(r"test_trap_\d\d_", name)}

    assert numbers == set(range(1, 26))
