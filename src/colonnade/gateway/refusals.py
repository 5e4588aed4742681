"""The refusals that the gateway itself makes, each under the name that its protocol's clients know."""

from __future__ import annotations

from enum import Enum

from colonnade.gateway.exchange import Exchange
from colonnade.kernel.errors import ServiceError

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)


class Refusal(Enum):
    """(json and rest-json: code, status, message), (query), (S3). rest-json answers 403 where json answers 400."""

    MISSING_TOKEN = (
        ("MissingAuthenticationTokenException", 403, "Missing Authentication Token"),
        ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        ("AccessDenied", 403, "Access Denied"),
    )
    UNKNOWN_KEY = (
        ("UnrecognizedClientException", 403, "The security token included in the request is invalid."),
        ("InvalidClientTokenId", 403, "The security token included in the request is invalid."),
        ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
    )
    BAD_TOKEN = (
        ("UnrecognizedClientException", 403, "The security token included in the request is invalid."),
        ("InvalidClientTokenId", 403, "The security token included in the request is invalid."),
        ("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
    )
    EXPIRED_TOKEN = (
        ("ExpiredTokenException", 403, "The security token included in the request is expired"),
        ("ExpiredToken", 403, "The security token included in the request is expired"),
        ("ExpiredToken", 400, "The provided token has expired."),
    )
    BAD_SIGNATURE = (
        (
            "InvalidSignatureException",
            403,
            _MISMATCH,
        ),
        (
            "SignatureDoesNotMatch",
            403,
            _MISMATCH,
        ),
        (
            "SignatureDoesNotMatch",
            403,
            "The request signature we calculated does not match the signature you provided. Check your key and method.",
        ),
    )
    SKEWED = (
        ("InvalidSignatureException", 403, "Signature expired"),
        ("SignatureDoesNotMatch", 403, "Signature expired"),
        (
            "RequestTimeTooSkewed",
            403,
            "The difference between the request time and the current time is too large.",
        ),
    )
    LINK_EXPIRED = (
        ("InvalidSignatureException", 403, "Signature expired"),
        ("SignatureDoesNotMatch", 403, "Signature expired"),
        ("AccessDenied", 403, "Request has expired"),
    )
    INCOMPLETE = (
        ("IncompleteSignatureException", 403, "The request signature does not conform to AWS standards"),
        ("IncompleteSignature", 403, "The request signature does not conform to AWS standards"),
        ("AuthorizationHeaderMalformed", 400, "The authorization header is malformed"),
    )
    UNSIGNED_HEADERS = (
        ("InvalidSignatureException", 403, "'host' must be a signed header in the AWS Authorization."),
        ("SignatureDoesNotMatch", 403, "'host' must be a signed header in the AWS Authorization."),
        ("AccessDenied", 403, "There were headers present in the request which were not signed"),
    )
    UNKNOWN_OPERATION = (
        ("UnknownOperationException", 404, "Unknown operation"),
        ("InvalidAction", 400, "Could not find the operation"),
        ("MethodNotAllowed", 405, "The specified method is not allowed against this resource."),
    )
    BAD_PATH = (
        ("SerializationException", 400, "The path is not UTF-8"),
        ("MalformedQueryString", 400, "The query string is not UTF-8"),
        ("InvalidURI", 400, "Couldn't parse the specified URI."),
    )
    MALFORMED = (
        ("MalformedHttpRequestException", 400, "The request is not HTTP as we understand it"),
        ("MalformedHttpRequest", 400, "The request is not HTTP as we understand it"),
        ("BadRequest", 400, "An error occurred when parsing the HTTP request."),
    )
    HEAD_TOO_LARGE = (
        ("RequestHeaderSectionTooLargeException", 431, "The request line and headers are too large"),
        ("RequestHeaderSectionTooLarge", 431, "The request line and headers are too large"),
        (
            "RequestHeaderSectionTooLarge",
            400,
            "Your request header and query parameters exceed the maximum size allowed",
        ),
    )
    TIMEOUT = (
        ("RequestTimeoutException", 408, "The request did not arrive within the time allowed"),
        ("RequestTimeout", 408, "The request did not arrive within the time allowed"),
        (
            "RequestTimeout",
            400,
            "Your socket connection to the server was not read from or written to within the timeout period.",
        ),
    )
    TOO_LARGE = (
        ("RequestEntityTooLargeException", 413, "The request is too large"),
        ("RequestEntityTooLarge", 413, "The request is too large"),
        ("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"),
    )


def refusal(exchange: Exchange, kind: Refusal, detail: str = "") -> ServiceError:
    """`detail` continues the message."""
    family = spoken(exchange)
    json, query, s3 = kind.value
    code, status, message = {"query": query, "s3": s3}.get(family, json)
    if family in ("json", "smithy-rpc-v2-cbor") and status == 403:
        status = 400
    return ServiceError(code, f"{message}{detail}", status=status)


def spoken(exchange: Exchange) -> str:
    """The protocol's name, or s3: known from the plan, before that guessed from what the client sent."""
    if exchange.plan is not None:
        return "s3" if exchange.plan.service == "s3" else exchange.plan.protocol
    if b"smithy-protocol" in exchange.headers:
        return "smithy-rpc-v2-cbor"
    if b"x-amz-target" in exchange.headers:
        return "json"
    if exchange.signature is not None and exchange.signature.service == "s3":
        return "s3"
    kind = exchange.headers.get(b"content-type", b"")
    if kind.startswith(b"application/x-www-form-urlencoded") or "Action=" in exchange.query:
        return "query"
    # Path style owns every path: what nobody signed is somebody who reads a bucket, unless it speaks JSON.
    signed = exchange.signature is not None or b"authorization" in exchange.headers
    return "rest-json" if signed or kind.startswith(b"application/json") else "s3"
