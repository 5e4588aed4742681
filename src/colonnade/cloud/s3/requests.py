"""What requests that make an object have in common: headers kept with it, tags, and options that are not built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from colonnade.cloud.s3.refusals import invalid_argument, not_built, refusal

HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
)
_MOST_METADATA = 2048
_NOT_BUILT = {
    "ObjectLockMode": "object lock",
    "ObjectLockLegalHoldStatus": "object lock",
    "ObjectLockEventHold": "object lock",
    "WebsiteRedirectLocation": "website redirects",
    "WriteOffsetBytes": "appending",
    "MFA": "deletion with MFA",
}
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")


def check_options(parameters: Mapping[str, Any]) -> None:
    """Raises for every option that asks for something which would then not happen."""
    for name, what in _NOT_BUILT.items():
        if parameters.get(name) not in (None, "OFF", ""):
            raise not_built(f"{what} ({name})")
    if parameters.get("StorageClass", "STANDARD") != "STANDARD":
        raise not_built(f"the storage class {parameters['StorageClass']}")
    # Buckets are "bucket owner enforced", as new ones on AWS: these two ACLs say nothing else.
    if parameters.get("ACL", "private") not in ("private", "bucket-owner-full-control"):
        raise refusal("AccessControlListNotSupported")
    if any(name in parameters for name in _GRANTS):
        raise refusal("AccessControlListNotSupported")


def check_key(key: str) -> None:
    size = len(key.encode())
    if size > 1024:
        raise refusal("KeyTooLongError", Size=str(size), MaxSizeAllowed="1024")


def headers(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept with the object and told at each reading."""
    kept = {name: parameters[name] for name in HEADERS if parameters.get(name) not in (None, "")}
    if "ContentEncoding" in kept:  # aws-chunked belongs to the transfer, not to the object.
        codings = [coding.strip() for coding in kept["ContentEncoding"].split(",")]
        kept["ContentEncoding"] = ",".join(coding for coding in codings if coding not in ("aws-chunked", ""))
        if not kept["ContentEncoding"]:
            del kept["ContentEncoding"]
    return kept


def metadata(parameters: Mapping[str, Any]) -> dict[str, str]:
    kept = {name.lower(): value for name, value in (parameters.get("Metadata") or {}).items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in kept.items())
    if size > _MOST_METADATA:
        raise refusal("MetadataTooLarge", Size=str(size), MaxSizeAllowed=str(_MOST_METADATA))
    return kept


def tags_of_header(parameters: Mapping[str, Any]) -> dict[str, str]:
    """`x-amz-tagging: a=1&b=2`."""
    text = parameters.get("Tagging")
    if not text:
        return {}
    pairs = parse_qsl(text, keep_blank_values=True)
    return checked_tags([{"Key": name, "Value": value} for name, value in pairs], most=10)


def checked_tags(tag_set: list[dict[str, str]], *, most: int) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in tag_set:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not 0 < len(key) <= 128 or key.lower().startswith("aws:"):
            raise refusal("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256:
            raise refusal(
                "InvalidTag", "The TagValue you have provided is invalid", TagKey=key, TagValue=value
            )
        if key in tags:
            raise refusal("InvalidTag", "Cannot provide multiple Tags with the same key", TagKey=key)
        tags[key] = value
    if len(tags) > most:
        what = "Object" if most == 10 else "Bucket"
        raise refusal("InvalidTag", f"{what} tags cannot be greater than {most}")
    return tags


def tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def number(parameters: Mapping[str, Any], name: str, usual: int) -> int:
    """A page size. Raises InvalidArgument below zero."""
    value = parameters.get(name)
    if value is None:
        return usual
    if int(value) < 0:
        raise invalid_argument(f"Argument {name} must be an integer between 0 and 2147483647", name, value)
    return min(int(value), usual)


def marker(parameters: Mapping[str, Any], name: str) -> int:
    """The number of a part, which the model has as text: 0 when there is none. Raises InvalidArgument."""
    text = str(parameters.get(name) or "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise invalid_argument(
            f"Argument {name} must be an integer between 0 and 2147483647", name, text[:100]
        )
    return int(text)
