"""A request's body: whole for most operations, as it arrives for those that stream it into storage.

`IncomingBody` is read by an operation in its thread while the event loop receives: a buffer of bounded size lies between
them, and nothing is received before the first read, so that a refusal costs no transfer. What reaches the operation has had
its framing taken off and its digest or signatures verified.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Protocol

from colonnade.gateway.exchange import Receive
from colonnade.kernel.errors import ServiceError

_BUFFER = 1024 * 1024
_PATIENCE = 60.0
"""Seconds without a byte after which a reader gives up on its client."""


class Disconnected(Exception):  # noqa: N818
    """Nobody is there any more to be answered."""


class TooLarge(Exception):  # noqa: N818
    """The body passes the operation's limit; what was beyond was not kept."""


async def read_all(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return _within(body, limit)
    parts = [body]
    size = len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise TooLarge
    return b"".join(parts)


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise TooLarge
    return body


class Filter(Protocol):
    """Takes framing off and verifies. `finish` raises ServiceError unless all that was promised has come."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> None: ...


class Plain:
    """No framing; verified against the signed SHA-256 when there is one."""

    def __init__(self, sha256: str | None, length: int | None) -> None:
        self._expected = sha256
        self._digest = hashlib.sha256() if sha256 else None
        self._length = length
        self._seen = 0

    def feed(self, data: bytes) -> bytes:
        self._seen += len(data)
        if self._digest is not None:
            self._digest.update(data)
        return data

    def finish(self) -> None:
        if self._length is not None and self._seen != self._length:
            raise incomplete()
        if self._digest is not None and self._expected is not None:
            found = self._digest.hexdigest()
            if not hmac.compare_digest(found.encode(), self._expected.encode()):
                raise sha256_mismatch(self._expected, found)


def sha256_mismatch(expected: str, found: str) -> ServiceError:
    return ServiceError(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        status=400,
        members={"ClientComputedContentSHA256": expected, "S3ComputedContentSHA256": found},
    )


def incomplete() -> ServiceError:
    return ServiceError(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
        status=400,
    )


class ArrivedBody:
    """The kernel's BodyReader over a small body that came with its head: nobody waits for it, so nothing is locked."""

    arrived = started = True

    def __init__(self, body: bytes, length: int | None) -> None:
        self.length = length
        self.trailers: Mapping[str, str] = {}
        self._body: bytes | None = body
        self._filter: Filter = Plain(None, None)
        self._rest = b""

    def verified_by(self, filter: Filter, trailers: Mapping[str, str]) -> None:
        self._filter = filter
        self.trailers = trailers

    def abandon(self) -> None:
        """Nobody waits for anything."""

    def read(self, size: int = -1, /) -> bytes:
        if self._body is not None:
            payload = self._filter.feed(self._body)
            self._filter.finish()
            self._rest, self._body = payload, None
        if size < 0 or size >= len(self._rest):
            piece, self._rest = self._rest, b""
        else:
            piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class IncomingBody:
    """The kernel's BodyReader, over ASGI's `receive`."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop, length: int | None) -> None:
        self.length = length
        self.trailers: Mapping[str, str] = {}
        self.started = False
        self._receive = receive
        self._loop = loop
        self._filter: Filter = Plain(None, None)
        self._arrived: list[bytes] = []
        self._arrived_size = 0
        self._ended = False
        self._gone = False
        self._changed = threading.Condition()
        self._room = asyncio.Event()
        self._ready = b""
        self._offset = 0
        self._held = b""
        self._finished = False
        self._pumping: Future[None] | None = None

    def verified_by(self, filter: Filter, trailers: Mapping[str, str]) -> None:
        """Set once the request is authenticated, before anybody reads."""
        self._filter = filter
        self.trailers = trailers

    @property
    def arrived(self) -> bool:
        """Whether reading will wait for nobody."""
        return self._ended

    async def receive_now(self) -> None:
        """Take in a small body at once: cheaper than waking the loop from the operation's thread."""
        self.started = True
        await self._pump()

    def abandon(self) -> None:
        """The exchange is over, answered or cancelled: nobody waits any longer for what was left unread."""
        with self._changed:
            self._gone = True
            self._changed.notify_all()
        if self._pumping is not None:
            self._pumping.cancel()

    # The operation's thread

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(_BUFFER), b""))
        while self._offset >= len(self._ready) and not self._finished:
            self._ready, self._offset = self._next(), 0
        piece = self._ready[self._offset : self._offset + size]
        self._offset += len(piece)
        return piece

    def _next(self) -> bytes:
        """What came before the newest bytes; the newest are held back until more follows or all is verified."""
        data, ended = self._take()
        payload = self._filter.feed(data)
        if ended:
            self._filter.finish()
            self._finished = True
            return self._held + payload
        if not payload:
            return b""
        released, self._held = self._held, payload
        return released

    def _take(self) -> tuple[bytes, bool]:
        if not self.started:
            self.started = True
            self._pumping = asyncio.run_coroutine_threadsafe(self._pump(), self._loop)
        with self._changed:
            while not (self._arrived or self._ended or self._gone):
                if not self._changed.wait(_PATIENCE):
                    raise ServiceError(
                        "RequestTimeout",
                        "Your socket connection to the server was not read from or written to within the timeout "
                        "period. Idle connections will be closed.",
                        status=400,
                    )
            if self._gone:
                raise incomplete()
            data = b"".join(self._arrived)
            self._arrived.clear()
            full = self._arrived_size > _BUFFER
            self._arrived_size = 0
            ended = self._ended
        if full:
            self._loop.call_soon_threadsafe(self._room.set)
        return data, ended

    # The event loop

    async def _pump(self) -> None:
        while True:
            message = await self._receive()
            with self._changed:
                if message["type"] != "http.request":
                    self._gone = True
                else:
                    body = message.get("body", b"")
                    if body:
                        self._arrived.append(body)
                        self._arrived_size += len(body)
                    self._ended = not message.get("more_body", False)
                full = self._arrived_size > _BUFFER
                if full:
                    self._room.clear()
                self._changed.notify_all()
            if self._gone or self._ended:
                return
            if full:
                await self._room.wait()
