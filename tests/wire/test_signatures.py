"""Requests signed by botocore's own signers, as sent and tampered with, over a socket."""

from __future__ import annotations

import datetime
import hashlib
import http.client
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from colonnade.gateway import sigv4
from colonnade.kernel.operations import Call

from .conftest import KEY, SECRET, Gateway

Edit = Callable[[dict[str, Any]], None]


def send(gateway: Gateway, request: dict[str, Any]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    try:
        connection.putrequest(request["method"], request["target"], skip_host=True, skip_accept_encoding=True)
        for name, value in request["headers"].items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(request["body"])))
        connection.endheaders(request["body"])
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def signed(
    gateway: Gateway,
    signer: Any,
    service: str,
    method: str,
    target: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    url = f"{gateway.url}{target}"
    request = AWSRequest(method, url, data=body, headers=headers or {})
    options.setdefault("token", None)
    credentials = Credentials(KEY, SECRET, options.pop("token"))
    arguments = (credentials,) if signer is auth.HmacV1QueryAuth else (credentials, service, "eu-west-1")
    signer(*arguments, **options).add_auth(request)
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    sent = {
        name: str(value, "latin-1") if isinstance(value, bytes) else value
        for name, value in prepared.headers.items()
    }
    # `send` writes the length of what it really sends.
    sent.pop("Content-Length", None)
    return {
        "method": method,
        "target": parts.path + (f"?{parts.query}" if parts.query else ""),
        "headers": {"Host": f"127.0.0.1:{gateway.port}"} | sent,
        "body": body,
    }


@pytest.fixture
def listening(gateway: Gateway) -> Gateway:
    """With one operation of each kind, which answer nothing."""
    gateway.on("lambda", "GetFunction", lambda call: {})
    gateway.on("lambda", "ListTags", lambda call: {})
    gateway.on("s3", "GetObject", lambda call: {"Body": b""})
    gateway.on("s3", "ListObjectsV2", lambda call: {})
    gateway.on(
        "s3", "PutObject", lambda call: {"ETag": hashlib.md5(call.parameters["Body"].read()).hexdigest()}
    )
    gateway.on("s3", "PutBucketTagging", lambda call: {})
    gateway.on("sts", "GetCallerIdentity", lambda call: {})
    return gateway


TARGETS = [
    ("lambda", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af"),
    ("lambda", "/2015-03-31/functions/f?Qualifier=%24LATEST"),
    ("lambda", "/2017-03-31/tags/arn:aws:lambda:eu-west-1:123456789012:function:f"),
    ("s3", "/bucket/a%20b%2Bc//d/../e%2F"),
    ("s3", "/bucket?list-type=2&prefix=a%2Fb&delimiter=%2F&empty="),
    ("s3", "/bucket/"),
]


@pytest.mark.parametrize(("service", "target"), TARGETS)
def test_signed_headers_are_believed_whatever_the_path(listening: Gateway, service: str, target: str) -> None:
    if target == "/bucket/":
        target += "?list-type=2"
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth

    status, body = send(listening, signed(listening, signer, service, "GET", target))

    assert (status, b"Error" in body) == (200, False), body


@pytest.mark.parametrize("signer", [auth.S3SigV4QueryAuth, auth.HmacV1QueryAuth])
@pytest.mark.parametrize(
    "target", ["/bucket/a%20b%2Bc//d", "/bucket/k?versionId=a%2Fb&response-content-type=text%2Fcsv"]
)
def test_presigned_queries_are_believed(listening: Gateway, signer: Any, target: str) -> None:
    status, body = send(listening, signed(listening, signer, "s3", "GET", target, expires=60))

    assert status == 200, body


def test_a_presigned_identity_is_believed(listening: Gateway) -> None:
    target = "/?Action=GetCallerIdentity&Version=2011-06-15"

    status, body = send(listening, signed(listening, auth.SigV4QueryAuth, "sts", "GET", target, expires=60))

    assert status == 200, body


def header(name: str, value: str) -> Edit:
    return lambda request: request["headers"].__setitem__(name, value)


def replaced(part: str, old: Any, new: Any) -> Edit:
    def edit(request: dict[str, Any]) -> None:
        assert old in request[part]
        request[part] = request[part].replace(old, new)

    return edit


def flipped_signature(request: dict[str, Any]) -> None:
    text = request["headers"]["Authorization"]
    request["headers"]["Authorization"] = text[:-1] + ("0" if text[-1] != "0" else "1")


def date_moved(request: dict[str, Any]) -> None:
    earlier = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=16)
    request["headers"]["X-Amz-Date"] = earlier.strftime("%Y%m%dT%H%M%SZ")


TAMPERED: list[Edit] = [
    flipped_signature,
    date_moved,
    replaced("target", "bucket", "other"),
    replaced("method", "PUT", "DELETE"),
    replaced("body", b"red", b"rot"),
    header("X-Amz-Acl", "public-read"),
    header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    header("Host", "127.0.0.2"),
    lambda request: request.__setitem__("target", request["target"] + "&versionId=1"),
]


@pytest.mark.parametrize("number", range(len(TAMPERED)))
def test_whatever_is_changed_on_the_way_is_refused(listening: Gateway, number: int) -> None:
    tagging = b"<Tagging><TagSet><Tag><Key>colour</Key><Value>red</Value></Tag></TagSet></Tagging>"
    sent = signed(listening, auth.S3SigV4Auth, "s3", "PUT", "/bucket?tagging", tagging)
    assert send(listening, sent)[0] == 204

    TAMPERED[number](sent)
    status, body = send(listening, sent)

    assert status in (400, 403), body
    assert b"<Error><Code>" in body


@pytest.mark.parametrize("size", [3, 400_000])
def test_an_upload_whose_bytes_changed_never_reaches_its_end(listening: Gateway, size: int) -> None:
    finished = []

    def put(call: Call) -> dict[str, Any]:
        finished.append(call.parameters["Body"].read())
        return {}

    listening.on("s3", "PutObject", put)
    sent = signed(listening, auth.S3SigV4Auth, "s3", "PUT", "/bucket/key", b"a" * size)
    sent["body"] = b"a" * (size - 1) + b"b"

    status, body = send(listening, sent)

    assert status == 400
    assert b"<Code>XAmzContentSHA256Mismatch</Code>" in body
    assert finished == []


def chunked(gateway: Gateway, chunks: list[bytes], kind: str, trailers: bytes = b"") -> dict[str, Any]:
    """An aws-chunked upload, its seed signed by botocore, its chunks as the S3 documentation says."""
    headers = {
        "x-amz-content-sha256": kind,
        "x-amz-decoded-content-length": str(sum(map(len, chunks))),
        "Content-Encoding": "aws-chunked",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    sent = signed(gateway, SignedAsDeclared, "s3", "PUT", "/bucket/key", b"", headers)
    claim = sigv4.read_header(sent["headers"]["Authorization"], sent["headers"]["X-Amz-Date"], None)
    key = sigv4.signing_key(SECRET, claim.date, claim.region, claim.service)
    previous = claim.value
    body = b""
    for chunk in [*chunks, b""]:
        extension = b""
        if "AWS4" in kind:
            previous = sigv4.chunk_signature(key, claim.timestamp, claim.scope, previous, chunk)
            extension = f";chunk-signature={previous}".encode()
        body += f"{len(chunk):x}".encode() + extension + b"\r\n" + (chunk + b"\r\n" if chunk else b"")
    if trailers:
        body += trailers + b"\r\n"
        if "AWS4" in kind:
            last = sigv4.trailer_signature(key, claim.timestamp, claim.scope, previous, trailers + b"\n")
            body += f"x-amz-trailer-signature:{last}\r\n".encode()
    sent["body"] = body + b"\r\n"
    return sent


class SignedAsDeclared(auth.S3SigV4Auth):
    """botocore's signer, with the payload hash that the headers declare."""

    def payload(self, request: Any) -> str:
        return str(request.headers["x-amz-content-sha256"])

    def _modify_request_before_signing(self, request: Any) -> None:
        declared = request.headers["x-amz-content-sha256"]
        super()._modify_request_before_signing(request)
        del request.headers["X-Amz-Content-SHA256"]
        request.headers["X-Amz-Content-SHA256"] = declared


KINDS = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [[], [5], [65_536, 65_536, 100], [600_000, 3]])
def test_chunks_are_put_together_and_trailers_handed_on(
    listening: Gateway, kind: str, sizes: list[int]
) -> None:
    chunks = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    data = b"".join(chunks)
    seen: list[tuple[bytes, dict[str, str], Any]] = []

    def put(call: Call) -> dict[str, Any]:
        body = call.parameters["Body"]
        assert body.length == len(data)
        seen.append((body.read(), dict(body.trailers), call.parameters.get("ContentEncoding")))
        return {}

    listening.on("s3", "PutObject", put)
    trailer = f"x-amz-checksum-crc32:{zlib.crc32(data)}".encode() if kind.endswith("TRAILER") else b""

    status, body = send(listening, chunked(listening, chunks, kind, trailer))

    assert status == 200, body
    assert seen == [(data, {"x-amz-checksum-crc32": str(zlib.crc32(data))} if trailer else {}, None)]


@pytest.mark.parametrize(
    "edit", [(b"AAAA", b"AAAB"), (b"crc32:1", b"crc32:2"), (b"chunk-signature=", b"chunk-signature=0")]
)
def test_tampered_chunks_are_refused(listening: Gateway, edit: tuple[bytes, bytes]) -> None:
    finished = []
    listening.on("s3", "PutObject", lambda call: finished.append(call.parameters["Body"].read()))
    sent = chunked(listening, [b"A" * 300_000, b"B" * 10], KINDS[1], b"x-amz-checksum-crc32:1")
    assert edit[0] in sent["body"]
    sent["body"] = sent["body"].replace(edit[0], edit[1], 1)

    status, body = send(listening, sent)

    assert status == 403, body
    assert b"<Code>SignatureDoesNotMatch</Code>" in body
    assert finished == []


@pytest.mark.parametrize(
    "edit", [(b"0\r\n", b""), (b"12c\r\n", b"zz\r\n"), (b"12c\r\n", b"12d\r\n"), (b"12c\r\n", b"-1\r\n")]
)
def test_broken_framing_is_refused(listening: Gateway, edit: tuple[bytes, bytes]) -> None:
    sent = chunked(listening, [b"A" * 300], KINDS[2], b"x-amz-checksum-crc32:1")
    assert edit[0] in sent["body"]
    sent["body"] = sent["body"].replace(edit[0], edit[1], 1)

    status, body = send(listening, sent)

    assert status == 400, body
    assert b"<Error><Code>" in body


def test_the_chunk_signatures_of_the_s3_documentation_come_out() -> None:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    key = sigv4.signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
    scope = "20130524/us-east-1/s3/aws4_request"
    previous = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    found = []

    for chunk in (b"a" * 65_536, b"a" * 1024, b""):
        previous = sigv4.chunk_signature(key, "20130524T000000Z", scope, previous, chunk)
        found.append(previous)

    assert found == [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]
