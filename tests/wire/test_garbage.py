"""Whatever arrives, the answer is AWS's: no accident, no HTML, no hanging. In process, without sockets, to be many."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from colonnade.gateway import app
from colonnade.kernel import operations
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import RandomIds
from colonnade.kernel.operations import Effect
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principals

from .conftest import KEY, SECRET, FewPrincipals

WRITTEN = [
    ("sagemaker", "CreateTrainingJob"),
    ("sagemaker-runtime", "InvokeEndpoint"),
    ("lambda", "CreateFunction"),
    ("iam", "CreateUser"),
    ("sts", "AssumeRole"),
    ("cloudwatch", "PutMetricData"),
    ("s3", "PutObject"),
    ("s3", "DeleteObjects"),
    ("s3", "ListObjectsV2"),
    ("s3", "PutBucketLifecycleConfiguration"),
]
Answer = tuple[int, dict[bytes, bytes], bytes]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(operations, "_registered", {})
    # Whatever other tests have imported: the real finders look into stores, and there is none here.
    monkeypatch.setattr(operations, "_resource_finders", {})
    for service, name in WRITTEN:
        operations.add(service, name, lambda call: {}, effect=Effect.REAL, line=1)
    platform = Platform(store=None, clock=SystemClock(), ids=RandomIds(), signals=None)  # type: ignore[arg-type]
    platform.provide(Principals, FewPrincipals())
    application = app.build(platform)
    loop = asyncio.new_event_loop()

    def ask(method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        return loop.run_until_complete(asyncio.wait_for(_ask(application, method, target, headers, body), 20))

    yield ask
    loop.close()


async def _ask(application: Any, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode("latin-1", "replace"),
        "path": path,
        "query_string": query.encode("latin-1", "replace"),
        "headers": [(name.lower().encode(), value.encode("utf-8")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    arriving = [
        {"type": "http.request", "body": body[:7], "more_body": True},
        {"type": "http.request", "body": body[7:], "more_body": False},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return arriving.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await application(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), content


def speaks_aws(answer: Answer) -> bool:
    """A status that no SDK retries, a request id, and a body that parses as what it says it is."""
    status, headers, body = answer
    identified = b"x-amzn-requestid" in headers or b"x-amz-request-id" in headers
    if status >= 500 and status != 501:
        return False
    if not identified or b"<html" in body.lower():
        return False
    if not body:
        return True
    if b"json" in headers.get(b"content-type", b""):
        json.loads(body)
    elif b"xml" in headers.get(b"content-type", b""):
        ElementTree.fromstring(body)
    return True


def garbage(chance: random.Random) -> tuple[str, str, dict[str, str], bytes]:
    pieces = [
        "/",
        "//",
        "%",
        "%2F",
        "%zz",
        "..",
        "{}",
        "é",
        "?",
        "&",
        "=",
        "Action",
        "uploads",
        "X-Amz-Credential",
        "a",
    ]
    target = "/" + "".join(chance.choice(pieces) for _ in range(chance.randint(0, 9)))
    headers = {"Host": chance.choice(["127.0.0.1", "", "a.b"])}
    values = [
        "",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, SignedHeaders=, Signature=",
        "é",
    ]
    values += [
        "AWS4-HMAC-SHA256 Credential=a/b/c/nobody/aws4_request,SignedHeaders=host,Signature=0",
        "AWS a:b",
        "9" * 99,
    ]
    for name in (
        "Authorization",
        "X-Amz-Date",
        "X-Amz-Target",
        "Content-Type",
        "Content-Encoding",
        "Content-Length",
    ):
        if chance.random() < 0.4:
            headers[name] = chance.choice(
                [*values, "application/x-www-form-urlencoded", "gzip", "12", "20260101T000000Z"]
            )
    return (
        chance.choice(["GET", "PUT", "POST", "HEAD", "DELETE", "BREW"]),
        target,
        headers,
        chance.randbytes(20),
    )


def test_unsigned_garbage_is_refused_in_aws_words(ask: Any) -> None:
    for seed in range(3000):
        request = garbage(random.Random(seed))

        answer = ask(*request)

        assert answer[0] >= 400, (seed, request, answer)
        assert speaks_aws(answer), (seed, request, answer)


def signed(service: str, method: str, target: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
    request = AWSRequest(method, f"http://127.0.0.1{target}", data=body, headers=headers)
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
    signer(Credentials(KEY, SECRET), service, "eu-west-1").add_auth(request)
    return {"Host": "127.0.0.1", "Content-Length": str(len(body))} | {
        k: str(v) for k, v in request.headers.items()
    }


DOORS = [
    (
        "sagemaker",
        "POST",
        "/",
        {"X-Amz-Target": "SageMaker.CreateTrainingJob", "Content-Type": "application/x-amz-json-1.1"},
    ),
    ("monitoring", "POST", "/", {"X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData"}),
    (
        "monitoring",
        "POST",
        "/",
        {"X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData", "Content-Encoding": "gzip"},
    ),
    ("sagemaker", "POST", "/endpoints/e/invocations", {"Content-Type": "text/csv"}),
    ("lambda", "POST", "/2015-03-31/functions", {}),
    ("iam", "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("sts", "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("s3", "PUT", "/bucket/key", {"x-amz-tagging-count": "é", "Expires": "never"}),
    ("s3", "POST", "/bucket?delete", {}),
    ("s3", "PUT", "/bucket?lifecycle", {}),
    ("s3", "GET", "/bucket?list-type=2&max-keys=many", {}),
    ("s3", "GET", "/bucket/%FF?uploadId", {}),
]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"12",
    b"NaN",
    b"{" * 5000,
    b"[" * 5000,
    b'{"TrainingJobName": 5, "HyperParameters": [1], "Tags": {"a": "b"}, "StoppingCondition": "x"}',
    b'{"TrainingJobName": null, "HyperParameters": {"a": null}, "Tags": [null], "InputDataConfig": [{"ChannelName": "\\ud800"}]}',
    b'{"MetricData": [{"Timestamp": "never", "Value": "x"}], "Namespace": "a"}',
    b'{"Timestamp": 1e999, "FunctionName": "f", "Code": {"ZipFile": "not base64!"}}',
    b"\xff\xfe",
    b"Action=CreateUser&Version=2010-05-08&UserName=a&Tags.member.x.Key=1",
    b"Action=CreateUser&Tags=1&Tags.member.1=5&UserName.a=b&UserName=c",
    b"Action=AssumeRole&" + b"a." * 5000 + b"=1",
    b"Action=AssumeRole&DurationSeconds=many&RoleArn=%FF",
    b"Action=Nonsense",
    b"<",
    b"<a/>",
    b"<Delete><Object><Key>a</Key></Object><Quiet>perhaps</Quiet></Delete>",
    b"<Delete xmlns='x'><Object/></Delete>",
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><Delete>&c;</Delete>',
    b"<LifecycleConfiguration><Rule><Expiration><Days>x</Days><Date>y</Date></Expiration></Rule></LifecycleConfiguration>",
    b"<a>" * 3000,
]


@pytest.mark.parametrize("door", range(len(DOORS)))
def test_signed_garbage_is_refused_in_aws_words(ask: Any, door: int) -> None:
    service, method, target, headers = DOORS[door]
    chance = random.Random(door)
    bodies = BODIES + [bytes(chance.choice(b'{}[]":,<>/&=.Aa1\\') for _ in range(40)) for _ in range(60)]
    for body in bodies:
        answer = ask(method, target, signed(service, method, target, dict(headers), body), body)

        assert answer[0] != 501, (body, answer)
        assert speaks_aws(answer), (body, answer)
