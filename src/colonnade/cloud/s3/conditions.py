"""If-Match and its kin. ETags are compared without quotes; times in whole seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.cloud.s3.index import ObjectRecord
from colonnade.cloud.s3.refusals import not_built, refusal
from colonnade.kernel.errors import ServiceError


def check_reading(parameters: Mapping[str, Any], record: ObjectRecord) -> None:
    """Raises PreconditionFailed or NotModified. An ETag settles it alone: the time beside it is not asked."""
    if "IfMatch" in parameters:
        if not matches(parameters["IfMatch"], record.etag):
            raise _failed("If-Match")
    elif "IfUnmodifiedSince" in parameters and record.modified > parameters["IfUnmodifiedSince"]:
        raise _failed("If-Unmodified-Since")
    if "IfNoneMatch" in parameters:
        if matches(parameters["IfNoneMatch"], record.etag):
            raise _not_modified(record)
    elif "IfModifiedSince" in parameters and record.modified <= parameters["IfModifiedSince"]:
        raise _not_modified(record)


def _not_modified(record: ObjectRecord) -> ServiceError:
    """With what a cache needs to go on with the copy that it has."""
    members: dict[str, Any] = {"ETag": f'"{record.etag}"', "LastModified": record.modified}
    members |= {name: record.headers[name] for name in ("CacheControl", "Expires") if name in record.headers}
    return ServiceError("NotModified", "Not Modified", status=304, members=members)


def check_copying(parameters: Mapping[str, Any], record: ObjectRecord) -> None:
    """The same of a copy's source, where everything unmet is PreconditionFailed."""
    prefix = "CopySource"
    of_source = {
        name.removeprefix(prefix): value
        for name, value in parameters.items()
        if name.startswith(f"{prefix}If")
    }
    try:
        check_reading(of_source, record)
    except ServiceError as error:
        raise (_failed("x-amz-copy-source-If-None-Match") if error.code == "NotModified" else error) from None


def check_writing(parameters: Mapping[str, Any], key: str, current: ObjectRecord | None) -> None:
    """Asked inside the transaction that writes."""
    if "IfNoneMatch" in parameters:
        if parameters["IfNoneMatch"] != "*":
            raise not_built("If-None-Match with an ETag on writing ('*' it does)")
        if current is not None:
            raise _failed("If-None-Match")
    if "IfMatch" in parameters:
        if current is None:
            raise refusal("NoSuchKey", Key=key)
        if not matches(parameters["IfMatch"], current.etag):
            raise _failed("If-Match")


def matches(said: str, etag: str) -> bool:
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in said.split(","))
    return any(tag in ("*", etag) for tag in tags)


def _failed(condition: str) -> ServiceError:
    return refusal("PreconditionFailed", Condition=condition)
