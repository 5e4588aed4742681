"""S3's uploads by HTML form: `POST /bucket` with a policy that somebody else signed for whoever fills in the form.

The fields stand before the file and say what a PutObject's path and headers would: so a form becomes a PutObject whose body is the
file part, streamed as it arrives. `identify` reads the fields, `authenticate` the signature over the policy and the policy itself.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from colonnade.gateway import plans, sigv4
from colonnade.gateway.body import Disconnected, IncomingBody
from colonnade.gateway.exchange import Exchange, Message, Receive, Response
from colonnade.gateway.protocols import timestamps, xml_values
from colonnade.gateway.protocols.xml_values import clean
from colonnade.gateway.refusals import Refusal, refusal
from colonnade.gateway.sigv4 import Form, Signature
from colonnade.kernel import json_text, models
from colonnade.kernel.errors import ServiceError

_MOST_BEFORE_FILE = 64 * 1024
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Of a field, which becomes a header: of the answer too, where it is metadata."""
_UNCONDITIONAL = frozenset({"policy", "x-amz-signature", "signature", "awsaccesskeyid", "file"})
"""Fields that the policy need not speak of."""


@dataclass(frozen=True, slots=True)
class PostForm:
    fields: Mapping[str, str]
    """By lower-case name; with `bucket`, which the address says."""
    file: FilePart

    @property
    def policy(self) -> str:
        return self.fields.get("policy", "")


def is_one(exchange: Exchange) -> bool:
    kind = exchange.headers.get(b"content-type", b"")
    return exchange.method == "POST" and kind.startswith(b"multipart/form-data") and _unsigned(exchange)


def _unsigned(exchange: Exchange) -> bool:
    return exchange.signature is None and b"x-amz-target" not in exchange.headers


async def identify(exchange: Exchange) -> None:
    exchange.plan = plans.plan("s3", "PutObject", "rest-xml")
    delimiter = _delimiter(exchange.header(b"content-type") or "")
    fields, filename, receive = await _read_fields(exchange.receive, delimiter)
    fields["bucket"] = exchange.path.strip("/")
    if not fields["bucket"] or "/" in fields["bucket"]:
        raise refusal(
            exchange, Refusal.UNKNOWN_OPERATION, f": POST {exchange.path} (a form goes to its bucket)"
        )
    if not fields.get("key"):
        raise _invalid("Bucket POST must contain a field named 'key'.")
    fields["key"] = fields["key"].replace("${filename}", filename)
    exchange.post_form = form = PostForm(fields, FilePart(b"\r\n" + delimiter))
    exchange.signature = _claimed(exchange, fields)
    exchange.labels = {"Bucket": fields["bucket"], "Key": fields["key"]}
    exchange.headers = _as_headers(exchange, fields)
    exchange.receive = receive
    exchange.stream = IncomingBody(receive, asyncio.get_running_loop(), None)
    exchange.stream.verified_by(form.file, {})


def _as_headers(exchange: Exchange, fields: Mapping[str, str]) -> Mapping[bytes, bytes]:
    """What a PutObject would have said in headers."""
    for name in fields:
        if not _NAME.fullmatch(name):
            raise _invalid(f"a form's field cannot be named {name!r}")
    kept = {name: exchange.headers[name] for name in (b"host", b"expect") if name in exchange.headers}
    said = {name: value for name, value in fields.items() if name not in ("bucket", "key", "host", "expect")}
    if "acl" in said:
        said["x-amz-acl"] = said.pop("acl")
    if "tagging" in said:
        said["x-amz-tagging"] = _tags(said.pop("tagging"))
    return {name.encode(): value.encode() for name, value in said.items()} | kept


def _tags(text: str) -> str:
    """A form has them in XML, as PutObjectTagging takes them; a PutObject in the form of a query."""
    shape = models.operation("s3", "PutObjectTagging").input_shape
    assert shape is not None
    tagging = xml_values.reader(shape.members["Tagging"])(xml_values.parse(text.encode()))
    tags = tagging.get("TagSet")
    if tags is None or any(not tag.keys() >= {"Key", "Value"} for tag in tags):
        raise xml_values.malformed("a Tagging holds a TagSet, and a Tag a Key and a Value")
    return urlencode([(tag["Key"], tag["Value"]) for tag in tags])


def _claimed(exchange: Exchange, fields: Mapping[str, str]) -> Signature:
    token = fields.get("x-amz-security-token")
    if fields.get("policy") and "x-amz-signature" in fields:
        scope = fields.get("x-amz-credential", "").rsplit("/", 4)
        if fields.get("x-amz-algorithm") != sigv4.ALGORITHM or len(scope) != 5:
            raise _invalid(
                f"a form's x-amz-algorithm must be {sigv4.ALGORITHM}, and its x-amz-credential a scope"
            )
        key, date, region, service, _ = scope
        at = fields.get("x-amz-date", "")
        return Signature(
            Form.POST, key, date, region, service, (), fields["x-amz-signature"], at, None, token
        )
    if fields.get("policy") and "awsaccesskeyid" in fields:
        key, value = fields["awsaccesskeyid"], fields.get("signature", "")
        return Signature(Form.POST_V2, key, "", "", "s3", (), value, "", None, token)
    raise refusal(exchange, Refusal.MISSING_TOKEN, ": the form has no signed policy")


# The form


def _delimiter(content_type: str) -> bytes:
    found = re.search(r'boundary=(?:"([^"]+)"|([^;\s]+))', content_type)
    if found is None:
        raise _malformed("its Content-Type names no boundary")
    return b"--" + (found.group(1) or found.group(2)).encode("latin-1")


async def _read_fields(receive: Receive, delimiter: bytes) -> tuple[dict[str, str], str, Receive]:
    """The fields before the file, the file's name, and a `receive` that goes on with the file's bytes."""
    buffer = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        buffer += message.get("body", b"")
        found = _fields(buffer, delimiter)
        before = found[2] if found is not None else len(buffer)
        if before > _MOST_BEFORE_FILE:
            raise ServiceError(
                "MaxPostPreDataLengthExceededError",
                "Your POST request fields preceding the upload file were too large.",
                status=400,
            )
        if found is not None:
            fields, filename, start = found
            rest = {**message, "body": buffer[start:]}
            return fields, filename, _continued(rest, receive)
        if not message.get("more_body", False):
            raise _malformed("it has no file field, or ends before it")


def _continued(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def _fields(buffer: bytes, delimiter: bytes) -> tuple[dict[str, str], str, int] | None:
    """None while something is missing."""
    fields: dict[str, str] = {}
    at = len(delimiter)
    if len(buffer) < at:
        return None
    if not buffer.startswith(delimiter):
        raise _malformed("it does not begin with its boundary")
    while (end := buffer.find(b"\r\n\r\n", at)) >= 0:
        name, filename = _disposition(buffer[at:end])
        start = end + 4
        if name == "file":
            return fields, filename, start
        stop = buffer.find(b"\r\n" + delimiter, start)
        if stop < 0:
            return None
        fields[name] = _text(buffer[start:stop])
        at = stop + 2 + len(delimiter)
    return None


def _disposition(head: bytes) -> tuple[str, str]:
    text = _text(head)
    name = re.search(r'[;\s]name=(?:"([^"]*)"|([^;\s]+))', text)
    if name is None or "form-data" not in text:
        raise _malformed("a part has no Content-Disposition: form-data with a name")
    filename = re.search(r'[;\s]filename=(?:"([^"]*)"|([^;\s]+))', text)
    whole = (filename.group(1) or filename.group(2) or "") if filename else ""
    return (name.group(1) or name.group(2) or "").lower(), re.split(r"[/\\]", whole)[-1]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("a field is not UTF-8") from None


class FilePart:
    """A body.Filter: the file's bytes up to the next boundary, as many as the policy allows."""

    def __init__(self, end: bytes) -> None:
        self._end = end
        self._waiting = b""
        self._complete = False
        self.size = 0
        self.least, self.most = 0, 5 * 1024**3

    def feed(self, data: bytes) -> bytes:
        if self._complete:
            return b""
        self._waiting += data
        end = self._waiting.find(self._end)
        self._complete = end >= 0
        kept = end if self._complete else max(0, len(self._waiting) - len(self._end) + 1)
        payload, self._waiting = self._waiting[:kept], self._waiting[kept:]
        self.size += len(payload)
        if self.size > self.most:
            raise ServiceError(
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
                status=400,
                members={"MaxSizeAllowed": str(self.most)},
            )
        return payload

    def finish(self) -> None:
        if not self._complete:
            raise _malformed("it ends within its file")
        if self.size < self.least:
            raise ServiceError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                status=400,
                members={"MinSizeAllowed": str(self.least), "ProposedSize": str(self.size)},
            )


# The policy


def check(exchange: Exchange, form: PostForm, signature: Signature, secret: str) -> None:
    """Is the policy signed, and does the form keep to it?"""
    if signature.form is Form.POST:
        key = sigv4.signing_key(secret, signature.date, signature.region, signature.service)
        expected = hmac.digest(key, form.policy.encode(), "sha256").hex()
    else:
        expected = base64.b64encode(hmac.digest(secret.encode(), form.policy.encode(), "sha1")).decode()
    if signature.service != "s3" or not hmac.compare_digest(expected.encode(), signature.value.encode()):
        raise refusal(exchange, Refusal.BAD_SIGNATURE)
    policy = _document(form.policy)
    if time.time() > _expiration(policy):
        raise _denied("Policy expired.")
    covered = set(_UNCONDITIONAL)
    for operator, name, *wanted in _conditions(policy):
        covered.add(name)
        if operator == "content-length-range":
            form.file.least, form.file.most = (int(number) for number in wanted)
        elif not _holds(operator, form.fields.get(name, ""), str(wanted[0])):
            raise _denied(f"Policy Condition failed: {json.dumps([operator, '$' + name, *wanted])}")
    extra = [name for name in form.fields if name not in covered and not name.startswith("x-ignore-")]
    if set(extra) - {"bucket"}:
        raise _denied(f"Extra input fields: {', '.join(sorted(set(extra) - {'bucket'}))}")
    if "bucket" in extra:
        raise _denied("the policy names no bucket")


def _document(policy: str) -> Mapping[str, Any]:
    try:
        document = json_text.read(base64.b64decode(policy, validate=True))
    except ValueError as error:
        raise _bad_policy(str(error)) from None
    if not isinstance(document, dict):
        raise _bad_policy("it is no JSON object")
    return document


def _expiration(policy: Mapping[str, Any]) -> float:
    try:
        return timestamps.read(policy["expiration"])
    except (KeyError, TypeError, ValueError):
        raise _bad_policy("its expiration is no instant in ISO 8601") from None


def _conditions(policy: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """(operator, field, value); for content-length-range (operator, "", least, most)."""
    conditions = policy.get("conditions")
    if not isinstance(conditions, list):
        raise _bad_policy("it has no list of conditions")
    for condition in conditions:
        match condition:
            case dict():
                for name, value in condition.items():
                    yield "eq", name.lower(), value
            case ["content-length-range", int(least), int(most)]:
                yield "content-length-range", "", least, most
            case [str(operator), str(name), value] if operator.lower() in ("eq", "starts-with"):
                yield operator.lower(), name.removeprefix("$").lower(), value
            case _:
                raise _bad_policy(f"it has the condition {json.dumps(condition)[:200]}")


def _holds(operator: str, given: str, wanted: str) -> bool:
    return given == wanted if operator == "eq" else given.startswith(wanted)


def _denied(why: str) -> ServiceError:
    return ServiceError("AccessDenied", f"Invalid according to Policy: {why}", status=403)


def _bad_policy(why: str) -> ServiceError:
    return ServiceError("InvalidPolicyDocument", f"Invalid Policy: {why}", status=400)


def _invalid(why: str) -> ServiceError:
    return ServiceError("InvalidArgument", why, status=400)


def _malformed(why: str) -> ServiceError:
    return ServiceError(
        "MalformedPOSTRequest",
        f"The body of your POST request is not well-formed multipart/form-data: {why}",
        status=400,
    )


# The answer


def answer(exchange: Exchange, form: PostForm, etag: str) -> Response:
    """As the form's success_action fields ask: 204 when they ask nothing."""
    bucket, key = form.fields["bucket"], form.fields["key"]
    host = exchange.header(b"host") or ""
    location = f"http://{host}/{bucket}/{quote(key)}"
    headers = [(b"etag", etag.encode()), (b"location", location.encode())]
    redirect = form.fields.get("success_action_redirect") or form.fields.get("redirect")
    if redirect:
        target = _with_query(redirect, {"bucket": bucket, "key": key, "etag": etag})
        return Response(303, [(b"etag", etag.encode()), (b"location", target.encode())])
    status = form.fields.get("success_action_status")
    if status != "201":
        return Response(200 if status == "200" else 204, headers)
    told = {"Location": location, "Bucket": bucket, "Key": key, "ETag": etag}
    inner = "".join(f"<{name}>{clean(value)}</{name}>" for name, value in told.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'
    return Response(201, [*headers, (b"content-type", b"application/xml")], body.encode())


def _with_query(url: str, pairs: Mapping[str, str]) -> str:
    """Written anew, so that no character of it can begin another header."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(pairs)) if part)
    return quote(urlunsplit(parts._replace(query=query)), safe="/:?#[]@!$&'()*+,;=%~")
