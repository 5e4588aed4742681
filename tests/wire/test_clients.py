"""boto3, unchanged, against a gateway on a real socket: one story per protocol and per refusal."""

from __future__ import annotations

import datetime
import hashlib
import io
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.ports import Credential

from .conftest import ROOT, SECRET, Gateway

ENDPOINT_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/flowers"


def refused(call: Any, **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response: dict[str, Any] = caught.value.response
    return response


def test_a_json_operation_gets_parameters_and_gives_its_result(gateway: Gateway) -> None:
    calls: list[Call] = []

    def describe(call: Call) -> dict[str, Any]:
        calls.append(call)
        return {
            "EndpointName": call.parameters["EndpointName"],
            "CreationTime": 1_700_000_000.125,
            "Private": 1,
        }

    gateway.on("sagemaker", "DescribeEndpoint", describe)

    answer = gateway.client("sagemaker").describe_endpoint(EndpointName="flowers")

    assert answer["EndpointName"] == "flowers"
    assert answer["CreationTime"] == datetime.datetime.fromtimestamp(1_700_000_000.125, datetime.UTC)
    assert "Private" not in answer
    assert (calls[0].region, calls[0].account, calls[0].principal) == ("eu-west-1", "123456789012", ROOT)
    assert answer["ResponseMetadata"]["RequestId"] == calls[0].request_id


def test_a_rest_json_operation_runs_on_the_loop_when_it_is_asynchronous(gateway: Gateway) -> None:
    async def invoke(call: Call) -> dict[str, Any]:
        body = call.parameters["Body"]
        return {
            "Body": body[::-1],
            "ContentType": call.parameters["ContentType"],
            "InvokedProductionVariant": "a",
        }

    gateway.on("sagemaker-runtime", "InvokeEndpoint", invoke)

    answer = gateway.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="flowers", ContentType="text/csv", Body=b"1,2,3"
    )

    assert answer["Body"].read() == b"3,2,1"
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "a"


def test_a_query_operation_gets_lists_and_gives_xml(gateway: Gateway) -> None:
    def create(call: Call) -> dict[str, Any]:
        user = {
            "UserName": call.parameters["UserName"],
            "PermissionsBoundary": {"PermissionsBoundaryArn": "a & <b>"},
            "Tags": call.parameters["Tags"],
            "CreateDate": 1_700_000_000,
        }
        return {"User": user | {"Path": "/", "UserId": "AIDA", "Arn": "arn:aws:iam::123456789012:user/ann"}}

    gateway.on("iam", "CreateUser", create)

    answer = gateway.client("iam").create_user(UserName="ann", Tags=[{"Key": "team", "Value": "a:b"}])

    assert answer["User"]["UserName"] == "ann"
    assert answer["User"]["Tags"] == [{"Key": "team", "Value": "a:b"}]
    assert answer["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == "a & <b>"


def test_s3_keys_arrive_as_the_client_meant_them(gateway: Gateway) -> None:
    seen: list[str] = []

    def head(call: Call) -> dict[str, Any]:
        seen.append(call.parameters["Key"])
        return {"ContentLength": 5, "ETag": '"abc"', "Metadata": {"a": "b"}}

    gateway.on("s3", "HeadObject", head)
    keys = ["a b+c", "a//b", "x/", "../up", "ü%2F", "a?b#c", "~-_.", "0"]

    client = gateway.client("s3")
    for key in keys:
        answer = client.head_object(Bucket="bucket", Key=key)
        assert answer["ContentLength"] == 5
        assert answer["Metadata"] == {"a": "b"}

    assert seen == keys


@pytest.mark.parametrize("size", [0, 5, 300_000, 5_000_000])
def test_an_upload_streams_through_and_is_verified(gateway: Gateway, size: int) -> None:
    digests: list[str] = []

    def put(call: Call) -> dict[str, Any]:
        body = call.parameters["Body"]
        assert body.length == size
        digest = hashlib.md5()
        while piece := body.read(65_536):
            digest.update(piece)
        digests.append(digest.hexdigest())
        return {"ETag": f'"{digest.hexdigest()}"'}

    gateway.on("s3", "PutObject", put)
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]

    answer = gateway.client("s3").put_object(Bucket="bucket", Key="key", Body=data)

    assert answer["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert digests == [hashlib.md5(data).hexdigest()]


def test_an_upload_refused_unread_answers_at_once_and_leaves_the_connection_usable(gateway: Gateway) -> None:
    def put(call: Call) -> None:
        raise ServiceError(
            "NoSuchBucket", "The specified bucket does not exist", members={"BucketName": "nowhere"}
        )

    gateway.on("s3", "PutObject", put)
    gateway.on("s3", "HeadBucket", lambda call: {})
    client = gateway.client("s3")

    for _ in range(2):
        answer = refused(client.put_object, Bucket="nowhere", Key="k", Body=io.BytesIO(bytes(3_000_000)))
        assert answer["Error"]["Code"] == "NoSuchBucket"
        assert answer["Error"]["BucketName"] == "nowhere"
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404
        client.head_bucket(Bucket="bucket")


class Chunks:
    """A ByteStream that remembers whether it was closed."""

    def __init__(self, chunk: bytes, count: int) -> None:
        self.length = len(chunk) * count
        self.closed = threading.Event()
        self._chunk, self._count = chunk, count

    def __iter__(self) -> Any:
        for _ in range(self._count):
            yield self._chunk

    def close(self) -> None:
        self.closed.set()


def test_a_download_streams_out_and_closes_its_source(gateway: Gateway) -> None:
    stream = Chunks(b"x" * 262_144, 8)
    gateway.on("s3", "GetObject", lambda call: {"Body": stream, "ContentType": "text/plain", "ETag": '"e"'})

    answer = gateway.client("s3").get_object(Bucket="bucket", Key="key")

    assert answer["ContentLength"] == stream.length
    assert answer["Body"].read() == b"x" * stream.length
    assert stream.closed.wait(60)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_link_works_for_whoever_holds_it_and_not_when_changed(
    gateway: Gateway, version: str
) -> None:
    gateway.on("s3", "GetObject", lambda call: {"Body": call.parameters["Key"].encode()})
    client = gateway.client("s3", signature_version=version)

    link = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "a b/c+d"}, ExpiresIn=60)

    assert urllib.request.urlopen(link).read() == b"a b/c+d"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(link.replace("bucket", "other"))
    assert caught.value.code == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in caught.value.read()


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_an_expired_link_is_refused(gateway: Gateway, version: str) -> None:
    gateway.on("s3", "GetObject", lambda call: {"Body": b""})
    client = gateway.client("s3", signature_version=version)

    link = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "k"}, ExpiresIn=-1)

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(link)
    assert caught.value.code in (400, 403)


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "codes"),
    [
        ("sagemaker", "list_endpoints", {}, ("UnrecognizedClientException", "InvalidSignatureException")),
        ("lambda", "list_functions", {}, ("UnrecognizedClientException", "InvalidSignatureException")),
        ("iam", "list_users", {}, ("InvalidClientTokenId", "SignatureDoesNotMatch")),
        ("s3", "list_buckets", {}, ("InvalidAccessKeyId", "SignatureDoesNotMatch")),
    ],
)
def test_strangers_and_wrong_secrets_are_refused_in_each_protocols_words(
    gateway: Gateway, service: str, operation: str, parameters: dict[str, Any], codes: tuple[str, str]
) -> None:
    stranger = gateway.client(service, keys={"aws_access_key_id": "AKIANOBODY"})
    forger = gateway.client(service, keys={"aws_secret_access_key": "guessed"})

    found = [
        refused(getattr(client, operation), **parameters)["Error"]["Code"] for client in (stranger, forger)
    ]

    assert tuple(found) == codes


def test_temporary_credentials_need_their_token_and_expire(gateway: Gateway) -> None:
    gateway.on("sts", "GetCallerIdentity", lambda call: {"Arn": call.principal.arn})
    gateway.principals.credentials["ASIA1"] = Credential("ASIA1", SECRET, "token", None, ROOT)
    gateway.principals.credentials["ASIA2"] = Credential("ASIA2", SECRET, "token", 1.0, ROOT)
    keys = {"aws_access_key_id": "ASIA1", "aws_session_token": "token"}

    assert gateway.client("sts", keys=keys).get_caller_identity()["Arn"] == ROOT.arn
    without = refused(gateway.client("sts", keys={"aws_access_key_id": "ASIA1"}).get_caller_identity)
    expired = refused(gateway.client("sts", keys=keys | {"aws_access_key_id": "ASIA2"}).get_caller_identity)

    assert without["Error"]["Code"] == "InvalidClientTokenId"
    assert expired["Error"]["Code"] == "ExpiredToken"


def test_an_unwritten_operation_names_itself_and_is_not_retried(gateway: Gateway) -> None:
    answer = refused(gateway.client("sagemaker").list_models)

    assert answer["Error"]["Code"] == "NotImplementedException"
    assert "sagemaker:ListModels" in answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_denied_call_does_not_reach_its_operation(gateway: Gateway) -> None:
    gateway.on("sagemaker", "ListModels", lambda call: pytest.fail("it was called"))
    gateway.principals.denied.add("sagemaker:ListModels")

    answer = refused(gateway.client("sagemaker").list_models)

    assert answer["Error"]["Code"] == "AccessDeniedException"
    assert "sagemaker:ListModels" in answer["Error"]["Message"]


@pytest.mark.parametrize(
    ("service", "name", "action", "parameters", "answer"),
    [
        ("sagemaker", "list_models", "sagemaker:ListModels", {}, (400, "AccessDeniedException")),
        ("comprehend", "list_endpoints", "comprehend:ListEndpoints", {}, (400, "AccessDeniedException")),
        ("lambda", "list_functions", "lambda:ListFunctions", {}, (403, "AccessDeniedException")),
        (
            "sagemaker-runtime",
            "invoke_endpoint",
            "sagemaker:InvokeEndpoint",
            {"EndpointName": "e", "Body": b""},
            (403, "AccessDeniedException"),
        ),
        ("iam", "list_users", "iam:ListUsers", {}, (403, "AccessDenied")),
        ("s3", "list_buckets", "s3:ListBuckets", {}, (403, "AccessDenied")),
    ],
)
def test_denials_have_the_status_that_their_protocol_gives_them(
    gateway: Gateway,
    service: str,
    name: str,
    action: str,
    parameters: dict[str, Any],
    answer: tuple[int, str],
) -> None:
    operation = "".join(part.title() for part in name.split("_"))
    gateway.on(service, operation, lambda call: pytest.fail("it was called"))
    gateway.principals.denied.add(action)

    found = refused(getattr(gateway.client(service), name), **parameters)

    assert (found["ResponseMetadata"]["HTTPStatusCode"], found["Error"]["Code"]) == answer


def test_constraints_that_clients_do_not_check_are_refused_with_aws_text(gateway: Gateway) -> None:
    gateway.on("sagemaker", "DescribeEndpoint", lambda call: {})

    answer = refused(gateway.client("sagemaker").describe_endpoint, EndpointName="no_underscores")

    assert answer["Error"]["Code"] == "ValidationException"
    assert answer["Error"]["Message"] == (
        "1 validation error detected: Value 'no_underscores' at 'endpointName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


@pytest.mark.parametrize(
    ("service", "name", "method", "parameters"),
    [
        ("sagemaker", "DescribeEndpoint", "describe_endpoint", {"EndpointName": "flowers"}),
        ("lambda", "GetFunction", "get_function", {"FunctionName": "f"}),
        ("iam", "GetUser", "get_user", {}),
        ("s3", "GetBucketAcl", "get_bucket_acl", {"Bucket": "bucket"}),
    ],
)
def test_an_accident_is_logged_with_its_request_id_and_tells_the_client_nothing_else(
    gateway: Gateway,
    caplog: pytest.LogCaptureFixture,
    service: str,
    name: str,
    method: str,
    parameters: dict[str, Any],
) -> None:
    def broken(call: Call) -> None:
        raise KeyError("a-secret-detail")

    gateway.on(service, name, broken)

    answer = refused(getattr(gateway.client(service), method), **parameters)

    assert answer["Error"]["Code"] in ("InternalFailure", "InternalError")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "a-secret-detail" not in str(answer)
    assert answer["ResponseMetadata"]["RequestId"] in caplog.text
    assert "a-secret-detail" in caplog.text


def test_health_answers_without_a_signature(gateway: Gateway) -> None:
    with urllib.request.urlopen(f"{gateway.url}/_colonnade/health") as answer:
        assert b'"status":"ok"' in answer.read()


def test_an_unsigned_request_is_refused(gateway: Gateway) -> None:
    anonymous = urllib.request.Request(f"{gateway.url}/bucket/key")
    unsigned = urllib.request.Request(
        f"{gateway.url}/endpoints/e/invocations", b"{}", {"Content-Type": "application/json"}
    )
    found = []
    for request in (anonymous, unsigned):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        assert caught.value.code == 403
        found.append(caught.value.read())
    assert b"<Code>AccessDenied</Code>" in found[0]
    assert b'"MissingAuthenticationTokenException"' in found[1]


def test_web_identities_are_served_without_a_signature(gateway: Gateway) -> None:
    gateway.on(
        "sts", "AssumeRoleWithWebIdentity", lambda call: {"Provider": call.parameters["WebIdentityToken"]}
    )

    answer = gateway.client("sts").assume_role_with_web_identity(
        RoleArn="arn:aws:iam::123456789012:role/reader", RoleSessionName="me", WebIdentityToken="token"
    )

    assert answer["Provider"] == "token"


@pytest.mark.parametrize("region", ["eu-west-1", None])
def test_a_buckets_location_is_a_lone_element(gateway: Gateway, region: str | None) -> None:
    gateway.on("s3", "GetBucketLocation", lambda call: {"LocationConstraint": region} if region else {})

    answer = gateway.client("s3").get_bucket_location(Bucket="bucket")

    assert answer["LocationConstraint"] == region
