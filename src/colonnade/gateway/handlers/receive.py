"""Take in the body, up to the operation's limit; or make it ready to be streamed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from colonnade.gateway.body import ArrivedBody, IncomingBody, TooLarge, read_all
from colonnade.gateway.exchange import Exchange
from colonnade.gateway.numerals import whole
from colonnade.gateway.refusals import Refusal, refusal
from colonnade.kernel.errors import ServiceError

_SMALL = 256 * 1024
"""Streamed bodies up to here are taken in at once: to refuse them unread would save nobody anything."""


def receive(exchange: Exchange) -> Awaitable[None] | None:
    plan = exchange.plan
    assert plan is not None
    if exchange.stream is not None:
        return None
    if plan.streams_in:
        if exchange.whole is not None:
            exchange.stream = ArrivedBody(exchange.whole, _decoded_length(exchange))
            return None
        return _prepare_stream(exchange)
    if exchange.body_read:
        return None
    if exchange.whole is not None:
        _take(exchange, exchange.whole, plan.body_limit)
        return None
    return receive_whole(exchange, plan.body_limit)


def _take(exchange: Exchange, whole: bytes, limit: int) -> None:
    if len(whole) > limit:
        raise _too_large(exchange, limit)
    exchange.body_read = True
    exchange.body = whole


async def receive_whole(exchange: Exchange, limit: int) -> None:
    if exchange.whole is not None:
        return _take(exchange, exchange.whole, limit)
    declared = content_length(exchange)
    if declared is not None and declared > limit:
        raise _too_large(exchange, limit)
    exchange.body_read = True
    try:
        exchange.body = await read_all(exchange.receive, limit)
    except TooLarge:
        raise _too_large(exchange, limit) from None


async def _prepare_stream(exchange: Exchange) -> None:
    exchange.stream = stream = IncomingBody(
        exchange.receive, asyncio.get_running_loop(), _decoded_length(exchange)
    )
    on_the_wire = content_length(exchange)
    if on_the_wire is not None and on_the_wire <= _SMALL:
        await stream.receive_now()


def _decoded_length(exchange: Exchange) -> int | None:
    decoded = exchange.header(b"x-amz-decoded-content-length")
    return whole(decoded) if decoded else content_length(exchange)


def content_length(exchange: Exchange) -> int | None:
    text = exchange.header(b"content-length")
    if text is None:
        return None if b"transfer-encoding" in exchange.headers else 0
    return whole(text)


def _too_large(exchange: Exchange, limit: int) -> ServiceError:
    plan = exchange.plan
    if plan is not None and plan.service == "sagemaker-runtime":
        return ServiceError(
            "ValidationError", f"Request body is larger than the allowed {limit} bytes.", status=413
        )
    return refusal(exchange, Refusal.TOO_LARGE, f": at most {limit} bytes")
