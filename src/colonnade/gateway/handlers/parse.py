"""The request's bytes, as the parameters that the model names."""

from __future__ import annotations

import zlib
from typing import Any

from colonnade.gateway.exchange import Exchange
from colonnade.gateway.handlers.authenticate import ANONYMOUS
from colonnade.gateway.plans import Plan
from colonnade.gateway.refusals import Refusal, refusal
from colonnade.kernel import operations
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call


def parse(exchange: Exchange) -> None:
    plan = exchange.plan
    assert plan is not None
    # An operation that nobody wrote says so before its parameters are judged.
    operations.find(plan.service, plan.operation)
    if plan.service != "s3" and b"content-encoding" in exchange.headers:
        _decompress(exchange, plan.body_limit)
    principal = exchange.credential.principal if exchange.credential else ANONYMOUS
    exchange.call = Call(
        service=plan.service,
        operation=plan.operation,
        parameters=_parameters(plan, exchange),
        principal=principal,
        platform=exchange.platform,
        account=principal.account,
        region=exchange.region,
        request_id=exchange.request_id,
        now=exchange.platform.clock.now(),
        source=exchange.source,
        details=_details(exchange) if plan.service in ("s3", "sts") else {},
    )


def _decompress(exchange: Exchange, limit: int) -> None:
    """Request compression (PutMetricData). Signed as sent, so it comes off after the signature was verified."""
    if exchange.headers[b"content-encoding"] != b"gzip" or exchange.stream is not None:
        return
    unpacker = zlib.decompressobj(wbits=31)
    try:
        exchange.body = unpacker.decompress(exchange.body, limit)
    except zlib.error as error:
        raise ServiceError(
            "SerializationException", f"the request body is not gzip: {error}", status=400
        ) from None
    if unpacker.unconsumed_tail:
        raise refusal(exchange, Refusal.TOO_LARGE, f": at most {limit} bytes")
    if not unpacker.eof:
        raise ServiceError(
            "SerializationException", "the request body is gzip that ends too early", status=400
        )


def _parameters(plan: Plan, exchange: Exchange) -> dict[str, Any]:
    try:
        return plan.parse(exchange)
    except RecursionError:
        raise ServiceError("SerializationException", "the request is nested too deeply", status=400) from None


def _details(exchange: Exchange) -> dict[str, str]:
    """What S3's and STS's operations need beside the model: the host that a link names, the path as it came."""
    return {
        "host": exchange.header(b"host") or "",
        "raw_path": exchange.raw_path,
        "raw_query": exchange.query,
        "access_key_id": exchange.signature.access_key_id if exchange.signature else "",
    }
