"""Real requests: any operation, written by botocore's serialisers, with values that its model allows more often than not."""

from __future__ import annotations

import datetime
import random
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from botocore import serialize
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import ServiceModel

from colonnade.gateway import services
from colonnade.gateway.protocols import s3_corrections
from colonnade.kernel import operations
from colonnade.kernel.patterns import java_pattern

from .stage import ACCOUNT, Request

_TEXTS = (
    "a-1", "b-2", "bucket-1", "key/1", "1", "a", "x" * 20, "key-1", "2012-10-17", "ml.m5.large", "text/csv", "true",
    f"arn:aws:iam::{ACCOUNT}:role/r", f"arn:aws:iam::{ACCOUNT}:policy/p", f"arn:aws:iam::{ACCOUNT}:user/a-1",
    f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/a-1", "arn:aws:s3:::bucket-1", f"arn:aws:iam::{ACCOUNT}:saml-provider/p",
    "s3://bucket-1/key", "https://example.org/", f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/a:1",
    "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3", "AKIAEXAMPLEEXAMPLE01", ACCOUNT,
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}', "us-east-1", "/aws/a",
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}}',
    "bytes=0-3", "*", '"0cc175b9c0f1b6a831c399e269772661"', "/", "null", "AAAAAA==", "é漢😀", "-----BEGIN CERTIFICATE-----",
)  # fmt: skip
_THERE = {"Bucket": "bucket-1", "Key": "key-1", "CopySource": "bucket-1/key-1"}
"""Of S3, where nothing can be asked of what is not there."""
_NOT_BUILT = (
    "ACL",
    "Grant",
    "SSE",
    "ServerSide",
    "VersionId",
    "ObjectLock",
    "StorageClass",
    "WebsiteRedirect",
    "MFA",
)
"""S3's options that end a request before anything else is looked at."""
_UNWRITTEN = (
    ("lambda", "CreateFunction"), ("cloudwatch", "PutMetricData"), ("sqs", "SendMessage"), ("glue", "CreateJob"),
    ("lexv2-runtime", "RecognizeUtterance"), ("kinesis", "PutRecords"), ("sns", "Publish"), ("athena", "StartQueryExecution"),
)  # fmt: skip


@cache
def known() -> tuple[tuple[str, str, str], ...]:
    """(service, operation, protocol): all that is written, with some that is not."""
    written = sorted(operations.registered())
    return tuple(
        (service, name, protocol)
        for service, name in (*written, *_UNWRITTEN)
        for protocol in services.protocols(service)
        if protocol in services.SUPPORTED and not (service == "s3" and name in s3_corrections.SUPERSEDED)
    )


@cache
def _model(service: str) -> Any:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def real(chance: random.Random) -> Request:
    service, name, protocol = chance.choice(known())
    model = _model(service).operation_model(name)
    value = _structure(chance, model.input_shape, 0) if model.input_shape is not None else {}
    request = serialize.create_serializer(protocol, include_validation=False).serialize_to_request(
        value, model
    )
    if request.get("auth_path"):
        fixed = urlsplit(model.http["requestUri"]).query
        request["url_path"] = request["auth_path"] + (
            f"?{fixed}" if fixed and "?" not in request["auth_path"] else ""
        )
    request.pop("host_prefix", None)
    prepare_request_dict(request, "http://127.0.0.1")
    prepared = create_request_object(request).prepare()
    url = urlsplit(prepared.url)
    body = prepared.body or b""
    body = body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else bytes(body)
    headers = {
        header: text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        for header, text in prepared.headers.items()
        if header.lower() not in ("content-length", "user-agent")
    }
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Request(model.service_model.signing_name, prepared.method, target, headers, body)


def _structure(chance: random.Random, shape: Any, depth: int) -> dict[str, Any]:
    names = list(shape.members)
    if depth > 6:
        names = [name for name in names if shape.members[name].type_name not in ("structure", "list", "map")]
    if shape.metadata.get("union") and shape.members:
        chosen = chance.choice(names or list(shape.members))
        return {chosen: _member(chance, chosen, shape.members[chosen], depth + 1)}
    return {
        name: _member(chance, name, shape.members[name], depth + 1)
        for name in names
        if (name in shape.required_members or chance.random() < (0.25 if depth < 2 else 0.1))
        and not shape.members[name].serialization.get("eventstream")
        and not (name.startswith(_NOT_BUILT) and chance.random() < 0.95)
    }


def _member(chance: random.Random, name: str, shape: Any, depth: int) -> Any:
    if name in _THERE and shape.type_name == "string" and chance.random() < 0.85:
        return _THERE[name]
    return _value(chance, shape, depth)


def _value(chance: random.Random, shape: Any, depth: int) -> Any:
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return {"a": [1, None, "b"]}
    if kind == "structure":
        return _structure(chance, shape, depth)
    if kind == "list":
        count = max(int(shape.metadata.get("min", 0)), chance.choice((0, 1, 1, 2))) if depth < 7 else 0
        return [_value(chance, shape.member, depth + 1) for _ in range(min(count, 4))]
    if kind == "map":
        return {_text(chance, shape.key): _value(chance, shape.value, depth + 1)} if depth < 7 else {}
    if kind == "blob":
        return chance.randbytes(chance.choice((0, 1, 30, 300)))
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in ("integer", "long"):
        low, high = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 1000))
        return chance.choice((low, high, chance.randint(low, max(low, high))))
    if kind in ("float", "double"):
        return float(shape.metadata.get("min", chance.choice((0, 1.5, 100))))
    if kind == "timestamp":
        return datetime.datetime.fromtimestamp(chance.choice((0, 1, 1_800_000_000)), datetime.UTC)
    return _text(chance, shape)


def _text(chance: random.Random, shape: Any) -> str:
    if getattr(shape, "enum", None):
        return str(chance.choice(shape.enum))
    return chance.choice(_allowed(shape.name, shape.metadata.get("pattern") or "", *_lengths(shape)))


def _lengths(shape: Any) -> tuple[int, int]:
    return int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 10_000))


@cache
def _allowed(name: str, pattern: str, low: int, high: int) -> tuple[str, ...]:
    regex = java_pattern(pattern) if pattern else None
    return (
        tuple(
            text
            for text in _TEXTS
            if low <= len(text) <= high and (regex is None or regex.fullmatch(text)) and text.strip()
        )
        or _TEXTS
    )
