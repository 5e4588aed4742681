"""AWS Signature Version 4 (header, presigned query, chunk) and S3's Version 2 queries, as pure functions.

Nothing here knows who anybody is: bytes of a request and a secret go in, signatures come out. `Signature` is what a request
claims; `handlers/authenticate.py` decides whether to believe it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from calendar import timegm
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from time import strptime
from urllib.parse import quote, unquote

from colonnade.gateway.numerals import whole

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
_WORTH_KEEPING = 1024
_LONGEST_CLAIM = 4096
_LONGEST_TIMESTAMP = 64
"""What is kept between requests is bounded in number and in size, for the texts are the clients'."""
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Form(Enum):
    HEADER = "header"
    QUERY = "query"
    QUERY_V2 = "query v2"
    POST = "post"
    POST_V2 = "post v2"


class Malformed(Exception):  # noqa: N818
    """The request claims to be signed, but what it says cannot be read."""


@dataclass(frozen=True, slots=True)
class Signature:
    form: Form
    access_key_id: str
    date: str
    """YYYYMMDD of the credential scope; empty for version 2."""
    region: str
    service: str
    """The signing name."""
    signed_headers: tuple[str, ...]
    value: str
    timestamp: str
    """YYYYMMDD'T'HHMMSS'Z' of the request; for version 2 the epoch seconds of its expiry."""
    expires: int | None = None
    """Seconds after `timestamp`, of a presigned query."""
    session_token: str | None = None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_header(authorization: str, timestamp: str, session_token: str | None) -> Signature:
    """Raises Malformed, naming what is missing."""
    if len(authorization) > _LONGEST_CLAIM or len(timestamp) > _LONGEST_TIMESTAMP:
        raise Malformed(
            f"Authorization header has more than {_LONGEST_CLAIM} characters, or the date is none."
        )
    claim, _, value = authorization.rpartition("Signature=")
    if "," in value:
        # Not in the usual order: bring the signature to the end.
        value, _, rest = value.partition(",")
        claim = f"{claim}{rest}"
    key, date, region, service, headers = _read_claim(claim)
    if not value:
        raise Malformed("Authorization header requires 'Signature' parameter.")
    if not timestamp:
        raise Malformed(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    return Signature(
        Form.HEADER, key, date, region, service, headers, value.strip(), timestamp, None, session_token
    )


# A client claims the same all day; only its signatures change. Bounded, as the text is the client's.
@lru_cache(maxsize=1024)
def _read_claim(claim: str) -> tuple[str, str, str, str, tuple[str, ...]]:
    algorithm, _, rest = claim.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if algorithm != ALGORITHM or not parts.get("Credential") or not parts.get("SignedHeaders"):
        raise Malformed(
            f"Authorization header requires algorithm '{ALGORITHM}' and its 'Credential', 'SignedHeaders' and 'Signature' "
            f"parameters. Authorization={algorithm[:40]}"
        )
    return *_credential(parts["Credential"]), tuple(parts["SignedHeaders"].lower().split(";"))


def read_query(pairs: Mapping[str, str]) -> Signature | None:
    """From a decoded query string; None when it is not signed. Raises Malformed."""
    if "X-Amz-Signature" in pairs or "X-Amz-Credential" in pairs:
        return _read_query_v4(pairs)
    if "AWSAccessKeyId" in pairs and "Signature" in pairs:
        expires = pairs.get("Expires", "")
        if whole(expires) is None:
            raise Malformed(
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
            )
        token = pairs.get("x-amz-security-token")
        return Signature(
            Form.QUERY_V2, pairs["AWSAccessKeyId"], "", "", "s3", (), pairs["Signature"], expires, None, token
        )
    return None


def _read_query_v4(pairs: Mapping[str, str]) -> Signature:
    wanted = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")
    missing = [name for name in wanted if not pairs.get(name)]
    if missing or pairs["X-Amz-Algorithm"] != ALGORITHM:
        raise Malformed(f"Query-string authentication requires {', '.join(wanted)} (algorithm {ALGORITHM})")
    expires = whole(pairs.get("X-Amz-Expires", "900"))
    if expires is None or expires > 604800:
        raise Malformed("X-Amz-Expires must be a number of seconds, at most a week (604800)")
    key, date, region, service = _credential(pairs["X-Amz-Credential"])
    headers = tuple(pairs["X-Amz-SignedHeaders"].lower().split(";"))
    return Signature(
        Form.QUERY,
        key,
        date,
        region,
        service,
        headers,
        pairs["X-Amz-Signature"],
        pairs["X-Amz-Date"],
        expires,
        pairs.get("X-Amz-Security-Token"),
    )


def _credential(text: str) -> tuple[str, str, str, str]:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise Malformed(
            f"Credential must have the form key/YYYYMMDD/region/service/aws4_request, not '{text}'"
        )
    return parts[0], parts[1], parts[2], parts[3]


@lru_cache(maxsize=1024)
def moment(timestamp: str) -> float:
    """Epoch seconds. Raises Malformed."""
    try:
        return float(timegm(strptime(timestamp, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        raise Malformed(f"Date must be in ISO-8601 'basic format'. Got '{timestamp}'.") from None


# Version 4


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = hmac.digest(b"AWS4" + secret.encode(), date.encode(), "sha256")
    for part in (region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def cached_signing_key(
    cache: MutableMapping[tuple[str, str, str], bytes], secret: str, date: str, region: str, service: str
) -> bytes:
    """The cache belongs to one credential. Days pass, so it is emptied before it can grow."""
    key = cache.get((date, region, service))
    if key is None:
        if len(cache) > 64:
            cache.clear()
        key = cache[date, region, service] = signing_key(secret, date, region, service)
    return key


def signature(key: bytes, timestamp: str, scope: str, canonical_request: bytes) -> str:
    digest = hashlib.sha256(canonical_request).hexdigest()
    return hmac.digest(key, f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}".encode(), "sha256").hex()


def canonical_request(
    method: str,
    path: str,
    query: str,
    headers: Mapping[bytes, bytes],
    signed_headers: Sequence[str],
    payload_hash: str,
) -> bytes:
    """`path` and `query` are canonical already. A signed header that the request lacks counts as empty."""
    names, joined = _encoded(tuple(signed_headers))
    lines = [name + b":" + headers.get(name, b"").strip() for name in names]
    signed = b"\n".join(lines)
    if b"  " in signed:
        signed = b"\n".join([_with_single_spaces(line) for line in lines])
    return b"%b\n%b\n%b\n%b\n\n%b\n%b" % (
        method.encode(),
        path.encode(),
        query.encode(),
        signed,
        joined,
        payload_hash.encode(),
    )


def _with_single_spaces(line: bytes) -> bytes:
    return b" ".join(line.split()) if b"  " in line else line


@lru_cache(maxsize=1024)
def _encoded(signed_headers: tuple[str, ...]) -> tuple[tuple[bytes, ...], bytes]:
    return tuple(name.encode() for name in signed_headers), ";".join(signed_headers).encode()


def canonical_path(raw_path: str, *, s3: bool) -> str:
    """S3 signs the path as sent; everybody else removes dot segments and encodes it once more."""
    if s3 or raw_path == "/":
        return raw_path or "/"
    return _quoted_again(raw_path) if len(raw_path) <= _WORTH_KEEPING else _quoted_again.__wrapped__(raw_path)


@lru_cache(maxsize=1024)
def _quoted_again(raw_path: str) -> str:
    return quote(_without_dots(raw_path), safe="/~")


def reencoded_path(raw_path: str) -> str:
    """What strict clients sign when they send characters that they need not have left bare."""
    return quote(unquote(raw_path, errors="surrogateescape"), safe="/~", errors="surrogateescape")


def _without_dots(path: str) -> str:
    if "//" not in path and "/." not in path:
        return path
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part and part != ".":
            kept.append(part)
    slash = "/" if path.endswith("/") and kept else ""
    return "/" + "/".join(kept) + slash


def canonical_query(query: str) -> str:
    """The pairs as the client encoded them, sorted, without the signature itself."""
    if not query:
        return ""
    pairs = [part.partition("=") for part in query.split("&") if part]
    kept = sorted((name, value) for name, _, value in pairs if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in kept)


def reencoded_query(query: str) -> str:
    pairs = [part.partition("=") for part in query.split("&") if part]
    return "&".join(f"{_reencoded(name)}={_reencoded(value)}" for name, _, value in pairs)


def _reencoded(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="-_.~", errors="surrogateescape")


# Chunks of a streaming upload


def chunk_signature(key: bytes, timestamp: str, scope: str, previous: str, chunk: bytes) -> str:
    text = (
        f"{ALGORITHM}-PAYLOAD\n{timestamp}\n{scope}\n{previous}\n{EMPTY_SHA256}\n"
        f"{hashlib.sha256(chunk).hexdigest()}"
    )
    return hmac.digest(key, text.encode(), "sha256").hex()


def trailer_signature(key: bytes, timestamp: str, scope: str, previous: str, trailers: bytes) -> str:
    text = f"{ALGORITHM}-TRAILER\n{timestamp}\n{scope}\n{previous}\n{hashlib.sha256(trailers).hexdigest()}"
    return hmac.digest(key, text.encode(), "sha256").hex()


# Version 2, presigned S3 queries only

# fmt: off
_SUBRESOURCES = frozenset((
    "accelerate", "acl", "cors", "defaultObjectAcl", "location", "logging", "partNumber", "policy",
    "requestPayment", "torrent", "versioning", "versionId", "versions", "website", "uploads",
    "uploadId", "response-content-type", "response-content-language", "response-expires",
    "response-cache-control", "response-content-disposition", "response-content-encoding", "delete",
    "lifecycle", "tagging", "restore", "storageClass", "notification", "replication", "analytics",
    "metrics", "inventory", "select", "select-type", "object-lock",
))
# fmt: on


def signature_v2(
    secret: str, method: str, path: str, query: str, headers: Mapping[bytes, bytes], expires: str
) -> str:
    """Over the path with its bucket, as the client encoded it."""
    pairs = {
        unquote(name): (unquote(value) if equals else None)
        for name, equals, value in (part.partition("=") for part in query.split("&") if part)
    }
    amz = {name.decode("latin-1"): value.decode("latin-1").strip() for name, value in headers.items()}
    amz = {name: value for name, value in amz.items() if name.startswith("x-amz-")}
    amz |= {name.lower(): value or "" for name, value in pairs.items() if name.lower().startswith("x-amz-")}
    resource = sorted((name, value) for name, value in pairs.items() if name in _SUBRESOURCES)
    text = "\n".join(
        [
            method,
            headers.get(b"content-md5", b"").decode("latin-1"),
            headers.get(b"content-type", b"").decode("latin-1"),
            expires,
            *(f"{name}:{value}" for name, value in sorted(amz.items())),
            path + ("?" if resource else "") + "&".join(_v2_pair(*pair) for pair in resource),
        ]
    )
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


def _v2_pair(name: str, value: str | None) -> str:
    return name if value is None else f"{name}={value}"
