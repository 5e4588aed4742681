"""S3 uploads by form, as `generate_presigned_post` makes them and a browser sends them."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from .conftest import Gateway

BOUNDARY = "----a-boundary"


def signed_form(
    gateway: Gateway, version: str, key: str = "in/${filename}", **options: Any
) -> dict[str, str]:
    post = gateway.client("s3", signature_version=version).generate_presigned_post("bucket", key, **options)
    fields: dict[str, str] = post["fields"]
    return fields


def multipart(fields: dict[str, str], data: bytes, filename: str = "C:\\a photo.png") -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
    return (
        b"".join(parts)
        + head.encode()
        + b"Content-Type: image/png\r\n\r\n"
        + data
        + f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload\r\n--{BOUNDARY}--\r\n'.encode()
    )


def post(gateway: Gateway, body: bytes, path: str = "/bucket") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    try:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


class Kept:
    """What PutObject was asked for, with its bytes."""

    def __init__(self, gateway: Gateway) -> None:
        self.calls: list[dict[str, Any]] = []
        gateway.on("s3", "PutObject", self.put)

    def put(self, call: Any) -> dict[str, Any]:
        # In pieces, as storage reads.
        pieces = iter(lambda: call.parameters["Body"].read(65_536), b"")
        self.calls.append({**call.parameters, "Body": b"".join(pieces), "by": call.principal.arn})
        return {"ETag": '"abc"'}


def test_tags_of_a_form_are_those_of_the_object(gateway: Gateway) -> None:
    kept = Kept(gateway)
    tagging = (
        '<?xml version="1.0"?>\n<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>'
        "<Tag><Key>team</Key><Value>a &amp; é=b</Value></Tag><Tag><Key>stage</Key><Value></Value></Tag></TagSet></Tagging>"
    )
    fields = signed_form(gateway, "s3v4", Fields={"tagging": tagging}, Conditions=[{"tagging": tagging}])

    status, _, body = post(gateway, multipart(fields, b"abc"))

    assert status == 204, body
    assert kept.calls[0]["Tagging"] == "team=a+%26+%C3%A9%3Db&stage="


@pytest.mark.parametrize("version", ["s3", "s3v4"])
@pytest.mark.parametrize("size", [0, 5, 300_000, 2_000_000])
def test_a_form_puts_its_file_as_whoever_signed_the_policy(gateway: Gateway, version: str, size: int) -> None:
    kept = Kept(gateway)
    data = (b"\r\n--" + BOUNDARY[:-1].encode() + b"\r\n" + bytes(range(256)))[: max(size, 1)] * (
        size // 100 + 1
    )
    data = data[:size]
    extra = {"Content-Type": "image/png", "x-amz-meta-colour": "red"}
    fields = signed_form(gateway, version, Fields=dict(extra), Conditions=[{n: v} for n, v in extra.items()])

    status, headers, body = post(gateway, multipart(fields, data))

    assert (status, body) == (204, b"")
    assert headers["etag"] == '"abc"'
    assert headers["location"].endswith("/bucket/in/a%20photo.png")
    (call,) = kept.calls
    assert (call["Bucket"], call["Key"], call["ContentType"]) == ("bucket", "in/a photo.png", "image/png")
    assert call["Metadata"] == {"colour": "red"}
    assert call["Body"] == data
    assert call["by"].endswith(":root")


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("success_action_status", "200", 200),
        ("success_action_status", "201", 201),
        ("success_action_status", "x", 204),
    ],
)
def test_the_form_chooses_its_answer(gateway: Gateway, field: str, value: str, status: int) -> None:
    Kept(gateway)
    fields = signed_form(gateway, "s3v4", Fields={field: value}, Conditions=[{field: value}])

    found, _, body = post(gateway, multipart(fields, b"x"))

    assert found == status
    assert (b"<Key>in/a photo.png</Key>" in body) == (status == 201)


def test_the_form_may_send_the_browser_elsewhere(gateway: Gateway) -> None:
    Kept(gateway)
    where = {"success_action_redirect": "http://example.org/done?a=b"}
    fields = signed_form(gateway, "s3v4", Fields=dict(where), Conditions=[where])

    status, headers, _ = post(gateway, multipart(fields, b"x"))

    assert status == 303
    assert headers["location"] == (
        "http://example.org/done?a=b&bucket=bucket&key=in%2Fa+photo.png&etag=%22abc%22"
    )


@pytest.mark.parametrize(
    ("changed", "options", "code"),
    [
        ({"key": "elsewhere/k"}, {}, "AccessDenied"),
        ({"x-amz-meta-extra": "1"}, {}, "AccessDenied"),
        ({"x-ignore-this": "1"}, {}, ""),
        ({"policy": "e30="}, {}, "SignatureDoesNotMatch"),
        ({"x-amz-signature": "0" * 64}, {}, "SignatureDoesNotMatch"),
        ({"x-amz-credential": "AKIANOBODY/20260101/eu-west-1/s3/aws4_request"}, {}, "InvalidAccessKeyId"),
        ({"x-amz-credential": "what"}, {}, "InvalidArgument"),
        ({}, {"ExpiresIn": -1}, "AccessDenied"),
        ({}, {"Conditions": [["content-length-range", 0, 2]]}, "EntityTooLarge"),
        ({}, {"Conditions": [["content-length-range", 20, 99]]}, "EntityTooSmall"),
        ({}, {"Conditions": [["content-length-range", 3, 3]]}, ""),
        ({}, {"Conditions": [["ends-with", "$key", "x"]]}, "InvalidPolicyDocument"),
        ({"tagging": "<Tagging/>"}, {}, "MalformedXML"),
        ({"tagging": "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"}, {}, "MalformedXML"),
        ({"tagging": "<Tagging><TagSet/></Tagging>"}, {}, "AccessDenied"),
        ({"key": ""}, {}, "InvalidArgument"),
        ({"x-amz-meta-a=b": "1"}, {}, "InvalidArgument"),
        ({"x-amz-meta-long": "x" * 100_000}, {}, "MaxPostPreDataLengthExceededError"),
    ],
)
def test_only_what_the_policy_allows_is_put(
    gateway: Gateway, changed: dict[str, str], options: dict[str, Any], code: str
) -> None:
    kept = Kept(gateway)
    fields = signed_form(gateway, "s3v4", **options) | changed

    status, _, body = post(gateway, multipart(fields, b"abc"))

    assert (f"<Code>{code}</Code>".encode() in body) if code else status == 204, body
    assert len(kept.calls) == (0 if code else 1)


def test_a_policy_for_another_bucket_does_not_hold(gateway: Gateway) -> None:
    kept = Kept(gateway)

    status, _, body = post(gateway, multipart(signed_form(gateway, "s3v4"), b"x"), "/other")

    assert status == 403
    assert b"Policy Condition failed" in body
    assert kept.calls == []


def test_a_form_without_a_policy_is_an_anonymous_upload(gateway: Gateway) -> None:
    kept = Kept(gateway)

    status, _, body = post(gateway, multipart({"key": "k"}, b"x"))

    assert status == 403
    assert b"<Code>AccessDenied</Code>" in body
    assert kept.calls == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda body: body[:-200],
        lambda body: b"what" + body,
        lambda body: body.replace(b'name="file"', b'name="other"'),
        lambda body: body.replace(b"form-data; ", b""),
        lambda body: body.replace(b"in/$", b"\xff$"),
        lambda body: b"",
    ],
)
def test_a_broken_form_is_refused(gateway: Gateway, edit: Any) -> None:
    kept = Kept(gateway)

    status, _, body = post(gateway, edit(multipart(signed_form(gateway, "s3v4"), b"x" * 10)))

    assert status == 400
    assert b"<Code>MalformedPOSTRequest</Code>" in body
    assert kept.calls == []


def test_whoever_signed_the_policy_must_be_allowed_to_put(gateway: Gateway) -> None:
    kept = Kept(gateway)
    gateway.principals.denied.add("s3:PutObject")

    status, _, body = post(gateway, multipart(signed_form(gateway, "s3v4"), b"x"))

    assert status == 403
    assert b"not authorized to perform: s3:PutObject" in body
    assert kept.calls == []
