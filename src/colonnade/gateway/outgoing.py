"""A response on its way out: its request ids and length, its bytes or its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

from colonnade.gateway.event_streams import Frames
from colonnade.gateway.exchange import Exchange, Response, Send
from colonnade.gateway.refusals import spoken
from colonnade.kernel.streams import ByteStream

_BODILESS = (204, 304)


def complete(exchange: Exchange, response: Response, body: bytes) -> bytes:
    """Add the headers that every response has; what is left to send after them."""
    headers = response.headers
    headers.extend(_request_ids(exchange))
    if response.status in _BODILESS:
        return b""
    if exchange.method != "HEAD":
        _set_length(headers, len(body))
        return body
    if not _has_length(headers):
        _set_length(headers, len(body))
    return b""


async def send_response(exchange: Exchange, response: Response, send: Send) -> None:
    body = response.body
    headers = response.headers
    if _unread_expectation(exchange):
        headers.append((b"connection", b"close"))
    if isinstance(body, bytes):
        rest = complete(exchange, response, body)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": rest})
        return
    headers.extend(_request_ids(exchange))
    if isinstance(body, Frames):
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await _send_frames(exchange, body, send)
        return
    _set_length(headers, body.length)
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await _stream(exchange, body, send)
    finally:
        await asyncio.get_running_loop().run_in_executor(exchange.pool, body.close)


async def _stream(exchange: Exchange, body: ByteStream, send: Send) -> None:
    loop = asyncio.get_running_loop()
    # After the request's body, the only message left to receive is that the client has gone.
    gone = loop.create_task(_disconnected(exchange))
    try:
        chunks = iter(body)
        while not gone.done():
            chunk = await loop.run_in_executor(exchange.pool, _next, chunks)
            if chunk is None:
                await send({"type": "http.response.body", "body": b""})
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        gone.cancel()


async def _send_frames(exchange: Exchange, frames: Frames, send: Send) -> None:
    """Each as soon as there is one, until the end or until nobody listens."""
    loop = asyncio.get_running_loop()
    gone = loop.create_task(_disconnected(exchange))
    async with aclosing(aiter(frames)) as pieces:
        step = loop.create_task(_following(pieces))
        try:
            while True:
                await asyncio.wait({step, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
                piece = step.result()
                if piece is None:
                    await send({"type": "http.response.body", "body": b""})
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                step = loop.create_task(_following(pieces))
        finally:
            gone.cancel()
            step.cancel()
            await asyncio.wait({step})


async def _following(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


def _next(chunks: Iterator[bytes]) -> bytes | None:
    return next(chunks, None)


async def _disconnected(exchange: Exchange) -> None:
    while (await exchange.receive())["type"] != "http.disconnect":
        pass


def _request_ids(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    ident = exchange.request_id.encode()
    if spoken(exchange) == "s3":
        return [(b"x-amz-request-id", ident), (b"x-amz-id-2", host_id(exchange).encode())]
    return [(b"x-amzn-requestid", ident)]


def host_id(exchange: Exchange) -> str:
    """S3's second request id. AWS's names the machine; ours has nothing more to tell, so it follows from the first."""
    return f"colonnade/{exchange.request_id}"


def _unread_expectation(exchange: Exchange) -> bool:
    """A client that was not asked to go on may send its body or not: no telling what the connection holds next."""
    if exchange.headers.get(b"expect", b"").lower() != b"100-continue":
        return False
    return not (exchange.body_read or (exchange.stream is not None and exchange.stream.started))


def _has_length(headers: list[tuple[bytes, bytes]]) -> bool:
    return any([name == b"content-length" for name, _ in headers])  # noqa: C419 - a generator costs more than it saves


def _set_length(headers: list[tuple[bytes, bytes]], length: int) -> None:
    if _has_length(headers):
        headers[:] = [header for header in headers if header[0] != b"content-length"]
    headers.append((b"content-length", str(length).encode()))
