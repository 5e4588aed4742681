"""Is the request signed by whom it says, recently, and is the body the one that was signed?

Signatures are judged by real time, never by the platform's clock, which tests may stop; only a temporary credential's own
expiry, which the platform set, is judged by that clock.
"""

from __future__ import annotations

import hashlib
import hmac
import time

from colonnade.gateway import post_form, sigv4
from colonnade.gateway.aws_chunked import AwsChunked, ChunkSigner
from colonnade.gateway.body import Filter, Plain, sha256_mismatch
from colonnade.gateway.exchange import Exchange
from colonnade.gateway.handlers.receive import content_length
from colonnade.gateway.numerals import whole
from colonnade.gateway.refusals import Refusal, refusal
from colonnade.gateway.sigv4 import Form, Signature
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ports import Credential, Principal, Principals

SKEW = 15 * 60
ANONYMOUS = Principal(arn="", account="", user_id="", kind="anonymous")
_STREAMING = "STREAMING-"


def authenticate(exchange: Exchange) -> None:
    signature = exchange.signature
    if signature is None:
        return
    credential = exchange.platform.the(Principals).credential(signature.access_key_id)
    if credential is None:
        raise refusal(exchange, Refusal.UNKNOWN_KEY)
    _check_token(exchange, signature, credential)
    if exchange.post_form is not None:
        post_form.check(exchange, exchange.post_form, signature, credential.secret_access_key)
    elif signature.form is Form.QUERY_V2:
        _check_v2(exchange, signature, credential)
    else:
        _check_time(exchange, signature)
        _check_v4(exchange, signature, credential)
    exchange.credential = credential


def _check_token(exchange: Exchange, signature: Signature, credential: Credential) -> None:
    if credential.session_token is not None:
        given = (signature.session_token or "").encode()
        if not hmac.compare_digest(given, credential.session_token.encode()):
            raise refusal(exchange, Refusal.BAD_TOKEN)
    elif signature.session_token:
        raise refusal(exchange, Refusal.BAD_TOKEN)
    if credential.expires is not None and exchange.platform.clock.now() >= credential.expires:
        raise refusal(exchange, Refusal.EXPIRED_TOKEN)


def _check_time(exchange: Exchange, signature: Signature) -> None:
    now = time.time()
    try:
        at = sigv4.moment(signature.timestamp)
    except sigv4.Malformed as malformed:
        raise refusal(exchange, Refusal.INCOMPLETE, f": {malformed}") from None
    if not signature.timestamp.startswith(signature.date):
        raise refusal(
            exchange,
            Refusal.INCOMPLETE,
            f": date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: '{signature.date}' != "
            f"'{signature.timestamp[:8]}'",
        )
    if signature.expires is None:
        if abs(now - at) > SKEW:
            raise refusal(
                exchange, Refusal.SKEWED, f": {signature.timestamp} is more than 15 minutes from now"
            )
    elif at - now > SKEW:
        raise refusal(exchange, Refusal.SKEWED, f": {signature.timestamp} is more than 15 minutes from now")
    elif now > at + signature.expires:
        raise refusal(exchange, Refusal.LINK_EXPIRED)


def _check_v4(exchange: Exchange, signature: Signature, credential: Credential) -> None:
    s3 = signature.service == "s3"
    _check_signed_headers(exchange, signature, s3=s3)
    payload_hash = _payload_hash(exchange, signature, s3=s3)
    key = sigv4.cached_signing_key(
        credential.signing_keys,
        credential.secret_access_key,
        signature.date,
        signature.region,
        signature.service,
    )
    if not _matches(exchange, signature, key, payload_hash, s3=s3):
        raise refusal(exchange, Refusal.BAD_SIGNATURE)
    _check_body(exchange, signature, key, payload_hash)


def _matches(exchange: Exchange, signature: Signature, key: bytes, payload_hash: str, *, s3: bool) -> bool:
    path = sigv4.canonical_path(exchange.raw_path, s3=s3)
    query = sigv4.canonical_query(exchange.query)
    if _equals(exchange, signature, key, payload_hash, path, query):
        return True
    # Clients may sign a stricter encoding than they send.
    strict_query = sigv4.canonical_query(sigv4.reencoded_query(exchange.query))
    strict_path = sigv4.reencoded_path(exchange.raw_path) if s3 else path
    if (strict_path, strict_query) == (path, query):
        return False
    return _equals(exchange, signature, key, payload_hash, strict_path, strict_query)


def _equals(
    exchange: Exchange, signature: Signature, key: bytes, payload_hash: str, path: str, query: str
) -> bool:
    request = sigv4.canonical_request(
        exchange.method, path, query, exchange.headers, signature.signed_headers, payload_hash
    )
    expected = sigv4.signature(key, signature.timestamp, signature.scope, request)
    return hmac.compare_digest(expected.encode(), signature.value.lower().encode())


def _check_signed_headers(exchange: Exchange, signature: Signature, *, s3: bool) -> None:
    signed = signature.signed_headers
    if "host" not in signed:
        raise refusal(exchange, Refusal.UNSIGNED_HEADERS)
    if s3:
        bare = [
            name
            for name in exchange.headers
            if name.startswith(b"x-amz-") and name.decode("latin-1") not in signed
        ]
        if bare and not (signature.form is Form.QUERY and bare == [b"x-amz-content-sha256"]):
            raise refusal(exchange, Refusal.UNSIGNED_HEADERS)


def _payload_hash(exchange: Exchange, signature: Signature, *, s3: bool) -> str:
    declared = exchange.header(b"x-amz-content-sha256")
    if declared is not None:
        return declared
    if s3:
        if signature.form is Form.HEADER:
            raise ServiceError(
                "MissingSecurityHeader", "Your request was missing a required header", status=400
            )
        return sigv4.UNSIGNED
    return hashlib.sha256(exchange.body).hexdigest()


def _check_body(exchange: Exchange, signature: Signature, key: bytes, payload_hash: str) -> None:
    """A whole body is verified here, a streamed one while it is read."""
    if payload_hash.startswith(_STREAMING):
        _unframe(exchange, _chunks(exchange, signature, key, payload_hash))
    elif exchange.stream is not None:
        expected = None if payload_hash == sigv4.UNSIGNED else payload_hash.lower()
        exchange.stream.verified_by(Plain(expected, content_length(exchange)), {})
    elif payload_hash != sigv4.UNSIGNED and b"x-amz-content-sha256" in exchange.headers:
        found = hashlib.sha256(exchange.body).hexdigest()
        if not hmac.compare_digest(found.encode(), payload_hash.lower().encode()):
            if signature.service == "s3":
                raise sha256_mismatch(payload_hash, found)
            raise refusal(exchange, Refusal.BAD_SIGNATURE)


def _chunks(exchange: Exchange, signature: Signature, key: bytes, kind: str) -> tuple[Filter, dict[str, str]]:
    signed = {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": True,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": True,
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER": False,
    }.get(kind)
    if signed is None:
        raise ServiceError(
            "NotImplemented", f"Streamed bodies signed by {kind} are not supported", status=501
        )
    signer = ChunkSigner(key, signature.timestamp, signature.scope, signature.value) if signed else None
    decoded = whole(exchange.header(b"x-amz-decoded-content-length") or "")
    if decoded is None:
        raise ServiceError(
            "MissingContentLength", "You must provide x-amz-decoded-content-length", status=411
        )
    trailers: dict[str, str] = {}
    return AwsChunked(signer, decoded, trailers), trailers


def _unframe(exchange: Exchange, framing: tuple[Filter, dict[str, str]]) -> None:
    filter, trailers = framing
    if exchange.stream is not None:
        exchange.stream.verified_by(filter, trailers)
        return
    exchange.body = filter.feed(exchange.body)
    filter.finish()


def _check_v2(exchange: Exchange, signature: Signature, credential: Credential) -> None:
    """boto3's default for presigned URLs on a custom endpoint. Such a URL signs no body."""
    if signature.service != "s3":
        raise refusal(exchange, Refusal.BAD_SIGNATURE)
    if time.time() > int(signature.timestamp):
        raise refusal(exchange, Refusal.LINK_EXPIRED)
    expected = sigv4.signature_v2(
        credential.secret_access_key,
        exchange.method,
        exchange.path,
        exchange.query,
        exchange.headers,
        signature.timestamp,
    )
    if not hmac.compare_digest(expected.encode(), signature.value.encode()):
        raise refusal(exchange, Refusal.BAD_SIGNATURE)
    if exchange.stream is not None:
        exchange.stream.verified_by(Plain(None, content_length(exchange)), {})
