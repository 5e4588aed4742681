"""PutBucketCors, GetBucketCors, DeleteBucketCors, and what they let a browser's pages do. The gateway asks `allowed`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from colonnade.cloud.s3.access import on_bucket
from colonnade.cloud.s3.index import Bucket, bucket_of, buckets, put_bucket
from colonnade.cloud.s3.refusals import refusal
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Reader

_METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
_MOST = 100


@operation("s3", "PutBucketCors", demand=on_bucket("PutBucketCORS"))
def put(call: Call) -> Result:
    rules = list(call.parameters["CORSConfiguration"].get("CORSRules") or [])
    if not 0 < len(rules) <= _MOST:
        raise refusal("MalformedXML")
    for rule in rules:
        _check(rule)
    _remember(call, rules)
    return {}


def _check(rule: Mapping[str, Any]) -> None:
    if not rule.get("AllowedMethods") or not rule.get("AllowedOrigins"):
        raise refusal("MalformedXML")
    for method in rule["AllowedMethods"]:
        if method not in _METHODS:
            what = f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            raise refusal("InvalidRequest", what)
    for member in ("AllowedOrigins", "AllowedHeaders"):
        for text in rule.get(member) or ():
            if text.count("*") > 1:
                raise refusal(
                    "InvalidRequest", f'{member[:-1]} "{text}" can not have more than one wildcard.'
                )


@operation("s3", "DeleteBucketCors", demand=on_bucket("PutBucketCORS"))
def delete(call: Call) -> Result:
    _remember(call, [])
    return {}


def _remember(call: Call, rules: list[dict[str, Any]]) -> None:
    with call.write() as transaction:
        put_bucket(transaction, call, msgspec.structs.replace(bucket_of(transaction, call), cors=rules))


@operation("s3", "GetBucketCors", demand=on_bucket("GetBucketCORS"))
def get(call: Call) -> Result:
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
    if not bucket.cors:
        raise refusal("NoSuchCORSConfiguration", BucketName=bucket.name)
    return {"CORSRules": bucket.cors}


def allowed(
    reader: Reader, partition: str, bucket: str, origin: str, method: str, headers: Sequence[str] = ()
) -> dict[str, str] | None:
    """The response headers by which a browser lets a page of that origin have the answer; None where no rule allows it."""
    stored = reader.get(buckets(partition).key(bucket))
    rules = msgspec.convert(stored.document, Bucket).cors if stored is not None else []
    for rule in rules:
        matched = next((text for text in rule["AllowedOrigins"] if _matches(text, origin)), None)
        if matched is None or method not in rule["AllowedMethods"]:
            continue
        if all(
            any(_matches(text.lower(), name.lower()) for text in rule.get("AllowedHeaders") or ())
            for name in headers
        ):
            return _told(rule, matched, origin, headers)
    return None


def _matches(wanted: str, given: str) -> bool:
    return re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), given) is not None


def _told(rule: Mapping[str, Any], matched: str, origin: str, headers: Sequence[str]) -> dict[str, str]:
    told = {
        "access-control-allow-origin": "*" if matched == "*" else origin,
        "access-control-allow-methods": ", ".join(rule["AllowedMethods"]),
        "vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    }
    if matched != "*":
        told["access-control-allow-credentials"] = "true"
    if headers:
        told["access-control-allow-headers"] = ", ".join(name.lower() for name in headers)
    if rule.get("ExposeHeaders"):
        told["access-control-expose-headers"] = ", ".join(rule["ExposeHeaders"])
    if "MaxAgeSeconds" in rule:
        told["access-control-max-age"] = str(rule["MaxAgeSeconds"])
    return told
