"""Browsers' pages of other origins, for S3's buckets: the question before a request (`OPTIONS`, which nobody signs), and the headers
without which a browser keeps an answer from the page. Asked only where a request has an Origin.
"""

from __future__ import annotations

from urllib.parse import unquote

from colonnade.cloud.s3.cors import allowed
from colonnade.gateway.exchange import Exchange, Response
from colonnade.kernel.arns import partition_of

_FORBIDDEN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessForbidden</Code><Message>CORSResponse: This CORS request is not '
    b"allowed. This is usually because the evaluation of Origin, request method / Access-Control-Request-Method or "
    b"Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.</Message></Error>"
)


def is_preflight(exchange: Exchange) -> bool:
    return exchange.method == "OPTIONS" and b"access-control-request-method" in exchange.headers


def preflight(exchange: Exchange) -> Response:
    method = exchange.headers[b"access-control-request-method"].decode("latin-1").strip()
    asked = exchange.headers.get(b"access-control-request-headers", b"").decode("latin-1")
    told = _told(exchange, method, [name.strip() for name in asked.split(",") if name.strip()])
    if told is None:
        return Response(403, [(b"content-type", b"application/xml")], _FORBIDDEN)
    return Response(200, told, b"")


def dress(exchange: Exchange) -> None:
    """Add the headers to the answer of a request to a bucket."""
    if exchange.response is None or exchange.plan is None or exchange.plan.service != "s3":
        return
    told = _told(exchange, exchange.method, [])
    if told is not None:
        response = exchange.response
        exchange.response = Response(response.status, [*response.headers, *told], response.body)


def _told(exchange: Exchange, method: str, headers: list[str]) -> list[tuple[bytes, bytes]] | None:
    bucket = unquote(exchange.path).removeprefix("/").partition("/")[0]
    origin = exchange.headers.get(b"origin", b"").decode("latin-1")
    with exchange.platform.store.read() as reader:
        told = allowed(reader, partition_of(exchange.default_region), bucket, origin, method, headers)
    return (
        None if told is None else [(name.encode(), value.encode("latin-1")) for name, value in told.items()]
    )
