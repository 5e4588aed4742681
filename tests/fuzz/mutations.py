"""How a request is bent: in the terms of its own body, in its headers, its target, its framing, its signature, its bytes."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from .stage import Request

Mutation = Callable[[random.Random, Request], None]

TEXTS: tuple[str, ...] = (
    "", " ", "\0", "\x01\x1f\x7f", "é", "漢字" * 50, "😀", "%", "%00", "%FF", "%2F", "%zz", "..", "../../etc/passwd", "/", "//",
    "a" * 300, "a" * 5000, "null", "true", "NaN", "Infinity", "-1", "0", "1e400", "-1e400", "9" * 30, "9" * 5000, "0x10", "1_0",
    "²", "١٢", "1.5", "1e300", "-62135596801", "253402300800", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59",
    "Mon, 99 Foo 2026", "9999-12-31T23:59:59-23:59", "s3://", "s3:///", "s3://a", "arn:", "arn:aws:iam::1:role", "arn:::::", ":",
    "*", "?", "[", "(", "((((((((((a+)+)+)+)+)+", "${aws:username}", "${", "<", "&", "]]>", '"', "'", "\\", "\r\nX: y", "\n", "a,b",
    '"a', "a=b&c=d", "{}", "[]", "{", '{"Version":"2012-10-17","Statement":[]}', '{"Statement":' * 200, "[" * 2000, "bytes=-0",
    "bytes=9-", "bytes=-" + "9" * 5000, "bytes=0-0,1-1", "text/csv; header=present; label_size=-1", "application/json", "aws-chunked",
    "gzip", "-" * 64, "a-" * 31, "a" * 63 + "-", "AAAA", "=", "MTIz", "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "https://[", "http://a:99999999/", "http://\x7f", "1/2/3/4/5", "_", "$LATEST", "us-east-1", "ml.none.large", "attachment; x=\x02",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, -(2**31) - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 0.5, -0.0, 1e300, 1e16, -1e18,
    float("nan"), float("inf"), [], {}, [[]], [None], [{}], {"": None}, {"a": {"a": {}}}, "\ud800", 253402300800, -62135596801,
)  # fmt: skip
_METHODS = ("GET", "PUT", "POST", "HEAD", "DELETE", "PATCH", "OPTIONS", "BREW", "CONNECT")
_HEADERS = (
    "Content-Type", "Content-Encoding", "Content-Length", "Content-MD5", "Transfer-Encoding", "Expect", "Range", "If-Match",
    "If-None-Match", "If-Modified-Since", "Host", "X-Amz-Target", "x-amz-copy-source", "x-amz-copy-source-range", "x-amz-tagging",
    "x-amz-meta-a", "x-amz-acl", "x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm", "x-amz-trailer",
    "x-amz-decoded-content-length", "x-amz-security-token", "x-amz-expected-bucket-owner", "x-amzn-query-mode", "Accept",
    "smithy-protocol", "X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Target-Variant", "x-amz-mp-object-size", "Expires",
    "X-Amz-Date", "Authorization", "x-amz-content-sha256", "x-amz-storage-class", "x-amz-checksum-algorithm",
)  # fmt: skip
_QUERY = (
    "uploads", "uploadId", "partNumber", "delete", "list-type=2", "max-keys", "prefix", "delimiter", "encoding-type=url",
    "continuation-token", "versioning", "tagging", "policy", "lifecycle", "cors", "acl", "location", "attributes", "versions",
    "versionId", "response-content-type", "response-expires", "response-content-disposition", "start-after", "max-uploads",
    "max-parts", "part-number-marker", "Action", "Version", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Expires", "X-Amz-Date",
    "X-Amz-Algorithm", "X-Amz-SignedHeaders", "AWSAccessKeyId", "Signature", "Expires", "marker", "key-marker", "x-id",
)  # fmt: skip


def bent(chance: random.Random, request: Request) -> Request:
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        chance.choice(_MUTATIONS)(chance, request)
    return request


def _body(chance: random.Random, request: Request) -> None:
    if request.body[:1] in (b"{", b"["):
        _json(chance, request)
    elif request.body[:1] == b"<":
        _xml(chance, request)
    elif b"Action=" in request.body:
        _form(chance, request)
    else:
        request.body = chance.choice(
            (b"", b"{}", b"<a/>", b"\xff\xfe", b"null", chance.randbytes(50), b"a" * 70_000)
        )


def _json(chance: random.Random, request: Request) -> None:
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        return _bytes(chance, request)
    holder, key = chance.choice(list(_places(document)) or [({"": 0}, "")])
    if chance.random() < 0.1 and isinstance(holder, dict):
        del holder[key]
    elif chance.random() < 0.1:
        holder[key] = [holder[key]] * chance.choice((2, 200))
    else:
        holder[key] = chance.choice((*VALUES, *TEXTS))
    request.body = json.dumps(document).encode()
    return None


def _places(document: Any) -> Any:
    if isinstance(document, dict):
        for key, value in document.items():
            yield document, key
            yield from _places(value)
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield document, place
            yield from _places(value)


def _xml(chance: random.Random, request: Request) -> None:
    text = request.body.decode("utf-8", "replace")
    kind = chance.randrange(6)
    if kind == 0:
        text = _replaced(chance, text, r">[^<]*<", f">{chance.choice(TEXTS)}<")
    elif kind == 1:
        text = _replaced(
            chance, text, r"<\w+>", chance.choice(("<a>", "<a/>", "<x:a>", "<Key>", "", "<![CDATA["))
        )
    elif kind == 2:
        text = f'<!DOCTYPE a [<!ENTITY b "{"b" * 100}">]>{text}'
    elif kind == 3:
        text = "<a>" * chance.choice((3, 5000)) + text
    elif kind == 4:
        inner = re.search(r"<(\w+)>.*</\1>", text[1:], re.S)
        text = text.replace(inner.group(), inner.group() * chance.choice((2, 1001)), 1) if inner else text
    else:
        text = text.encode("utf-16").decode("latin-1")
    request.body = text.encode("utf-8", "replace")


def _replaced(chance: random.Random, text: str, pattern: str, by: str) -> str:
    found = list(re.finditer(pattern, text))
    if not found:
        return text + by
    at = chance.choice(found)
    return text[: at.start()] + by + text[at.end() :]


def _form(chance: random.Random, request: Request) -> None:
    pairs = request.body.decode("latin-1").split("&")
    place = chance.randrange(len(pairs))
    name, _, _ = pairs[place].partition("=")
    kind = chance.randrange(5)
    if kind == 0:
        pairs[place] = f"{name}={quote(chance.choice(TEXTS))}"
    elif kind == 1:
        pairs.append(f"{name}.{chance.choice(('member', 'entry', '1', '²', '-1', '', '9' * 5000))}.1=x")
    elif kind == 2:
        pairs[place] = f"{name.replace('1', chance.choice(('0', '²', '9' * 5000, 'x', '')))}=y"
    elif kind == 3:
        del pairs[place]
    else:
        pairs += [f"{name}.member.{number}=z" for number in range(chance.choice((2, 500)))]
    request.body = "&".join(pairs).encode("latin-1")


def _header(chance: random.Random, request: Request) -> None:
    name = chance.choice((*_HEADERS, *request.headers))
    request.headers[name] = chance.choice(TEXTS)


def _without_header(chance: random.Random, request: Request) -> None:
    if request.headers:
        del request.headers[chance.choice(list(request.headers))]


def _path(chance: random.Random, request: Request) -> None:
    path, mark, query = request.target.partition("?")
    parts = path.split("/")
    parts[chance.randrange(1, len(parts)) if len(parts) > 1 else 0] = _travelling(chance.choice(TEXTS))
    request.target = "/" + "/".join(parts[1:]) + mark + query


def _query(chance: random.Random, request: Request) -> None:
    name = chance.choice(_QUERY)
    value = "" if "=" in name or chance.random() < 0.3 else "=" + _travelling(chance.choice(TEXTS))
    request.target += ("&" if "?" in request.target else "?") + name + value


def _travelling(text: str) -> str:
    """Characters that HTTP lets through; percent signs stay as they are, so that some escapes are broken."""
    return "".join(c if 32 < ord(c) < 127 and c not in "?#" else quote(c, errors="replace") for c in text)


def _bytes(chance: random.Random, request: Request) -> None:
    body = bytearray(request.body or b"a")
    for _ in range(chance.choice((1, 4))):
        body[chance.randrange(len(body))] = chance.randrange(256)
    cut = chance.randrange(len(body) + 1) if chance.random() < 0.3 else len(body)
    request.body = bytes(body[:cut])


def _method(chance: random.Random, request: Request) -> None:
    request.method = chance.choice(_METHODS)


def _compressed(chance: random.Random, request: Request) -> None:
    request.headers["Content-Encoding"] = chance.choice(("gzip", "GZIP", "deflate", "gzip, gzip"))
    packed = gzip.compress(request.body, 1, mtime=0)
    request.body = chance.choice((packed, packed[:-5], packed + packed, request.body))


def _framed(chance: random.Random, request: Request) -> None:
    """aws-chunked, unsigned or with signatures that cannot be right."""
    request.framed = chance.choice(
        (
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "STREAMING-NONSENSE",
            "UNSIGNED-PAYLOAD",
            "",
            "é",
        )
    )
    size = chance.choice(
        (f"{len(request.body):x}",) * 6 + ("-1", "", "zz", "0x1", "f" * 20, "²", "1_0", " 1")
    )
    end = chance.choice(
        (b"0\r\n\r\n",) * 3
        + (b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", b"", b"0\r\n", b"0\r\n:\r\n\r\n")
    )
    extension = chance.choice(("", "", ";chunk-signature=" + "0" * 64, ";a", ";chunk-signature=é"))
    request.headers["x-amz-decoded-content-length"] = chance.choice(
        (str(len(request.body)),) * 3 + ("0", "²", "-1", "9" * 5000)
    )
    request.headers["Content-Encoding"] = chance.choice(("aws-chunked", "aws-chunked,gzip", ""))
    request.body = f"{size}{extension}\r\n".encode() + request.body + b"\r\n" + end


def _spoilt(chance: random.Random, request: Request) -> None:
    credential = "AKIAEXAMPLEEXAMPLE00/20261122/us-east-1/s3/aws4_request"
    request.spoilt = (
        chance.choice(
            ("Authorization", "X-Amz-Date", "x-amz-content-sha256", "Host", "x-amz-security-token")
        ),
        chance.choice(
            (
                *TEXTS,
                "AWS4-HMAC-SHA256",
                f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;é, Signature=é",
                f"AWS4-HMAC-SHA256 Signature=a,Credential={credential},SignedHeaders=;;;,",
                f"AWS4-HMAC-SHA256 Credential={credential.replace('s3', chance.choice(TEXTS))},SignedHeaders=host,Signature=a",
                "AWS a:b",
                "Basic YTpi",
                "99999999T999999Z",
            )
        ),
    )


def _scope(chance: random.Random, request: Request) -> None:
    request.scope = chance.choice(
        ("", "s3", "sagemaker", "iam", "sts", "logs", "lambda", "monitoring", "sqs", "a b", "é", "../s3")
    )


_MUTATIONS: tuple[Mutation, ...] = (
    _body, _body, _body, _body, _body, _body, _header, _header, _header, _without_header, _path, _path, _query, _query, _query,
    _bytes, _method, _compressed, _framed, _framed, _spoilt, _scope,
)  # fmt: skip
