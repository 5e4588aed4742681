"""Answers that come in parts: from a replica over a connection of their own, from a user's server, or whole from a compiled model.

`instances` opens them, `router` hands them to InvokeEndpointWithResponseStream. Parts are read when they are wanted, so a
slow client makes the model wait and fills no memory; closing a stream ends the model's work on it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from colonnade.kernel.errors import ServiceError
from colonnade.serving import faults
from colonnade.serving.connection import ReplicaLost
from colonnade.serving.faults import Place
from colonnade.serving.frames import (
    BEGUN,
    MAX_FRAME,
    PART,
    STREAM,
    Answer,
    Answers,
    FrameError,
    Request,
    pack_request,
)

_HELD = 256 * 1024
"""Bytes of parts that may wait for their reader."""
_CONNECT_SECONDS = 2.0


class ModelFailed(Exception):  # noqa: N818 - a condition that the router handles
    """The model said that it failed, after its first part."""


class Stream(Protocol):
    head: Answer
    """Status, content type and custom attributes; with a status above 299, `part` gives the error's text."""

    async def part(self) -> bytes:
        """The next one; b"" after the last, and once the stream was closed. Raises ReplicaLost, ModelFailed."""
        ...

    def close(self) -> None:
        """Nobody wants the rest. May be called at any time, again, and after the end."""
        ...


class Whole:
    """An answer in one part."""

    def __init__(self, answer: Answer) -> None:
        self.head = answer._replace(body=b"")
        self._body = answer.body

    async def part(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        self._body = b""


async def whole(stream: Stream) -> bytes:
    """What is left of it, at once; what is too much to hold is cut. Raises ReplicaLost."""
    parts, size = [], 0
    try:
        while size < MAX_FRAME and (part := await stream.part()):
            parts.append(part)
            size += len(part)
    finally:
        stream.close()
    return b"".join(parts)


class FrameStream(asyncio.Protocol):
    """One call over one connection to a replica, which closing it tells to stop."""

    head: Answer

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answers = Answers()
        self._found: deque[Answer] = deque()
        self._held = 0
        self._begun = self._in_parts = self._ended = self._lost = False
        self._waiting: asyncio.Future[None] | None = None
        self._at_end: Callable[[], None] | None = None

    def when_ended(self, callback: Callable[[], None]) -> None:
        self._at_end = callback

    async def begin(self, request: Request) -> None:
        """Until the head is known. Raises ReplicaLost."""
        assert self._transport is not None
        self._transport.write(pack_request(request._replace(kind=STREAM)))
        while True:
            answer = await self._next()
            if answer.status != BEGUN:
                break
            self._begun = True
        self._in_parts = answer.status == PART
        self.head = answer._replace(status=200 if self._in_parts else answer.status, body=b"")
        self._found.appendleft(answer)
        self._held += len(answer.body)

    async def part(self) -> bytes:
        while not self._ended:
            answer = await self._next()
            if answer.status == PART:
                if answer.body:
                    return answer.body
                continue
            self._ended = True
            self.close()
            if self._in_parts and answer.status != 200:
                raise ModelFailed(answer.body.decode("utf-8", "replace"))
            return answer.body
        return b""

    def close(self) -> None:
        self._ended = True
        if self._transport is not None:
            self._transport.abort()
        if self._at_end is not None:
            self._at_end()
            self._at_end = None
        self._wake()

    async def _next(self) -> Answer:
        while not self._found:
            if self._lost or self._ended:
                raise ReplicaLost(suspect=self._begun)
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        answer = self._found.popleft()
        self._held -= len(answer.body)
        if self._transport is not None and self._held <= _HELD:
            self._transport.resume_reading()
        return answer

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for answer in self._answers.feed(data):
                self._found.append(answer)
                self._held += len(answer.body)
        except FrameError:
            self._lost = True
            self.close()
        if self._held > _HELD and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost = True
        self._wake()


async def from_replica(address: str, request: Request, *, ended: Callable[[], None]) -> FrameStream:
    """Its head is known. Raises ReplicaLost; where it does not, `ended` is called once, when the stream is over or closed."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, stream = await loop.create_unix_connection(FrameStream, address.removeprefix("unix:"))
    except (OSError, TimeoutError):
        raise ReplicaLost(suspect=False) from None
    try:
        await stream.begin(request)
    except BaseException:
        stream.close()
        raise
    stream.when_ended(ended)
    return stream


class Streamed:
    """What the caller gets: parts, within the limits of time, until the end or `aclose`."""

    def __init__(self, stream: Stream, place: Place, *, gap: float, until: float) -> None:
        """`gap`: seconds that the model may take for the next part; `until`: the loop's time at which all must have come."""
        self._stream = stream
        self._place = place
        self._gap = gap
        self._until = until
        # A client that reads nothing keeps nobody from ending it.
        self._end = asyncio.get_running_loop().call_at(until, stream.close)

    def __aiter__(self) -> Streamed:
        return self

    async def __anext__(self) -> bytes:
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(self._until, now + self._gap)):
                part = await self._stream.part()
        except TimeoutError:
            raise self._failed(faults.stream_timed_out(self._place)) from None
        except ReplicaLost:
            raise self._failed(faults.stream_broken(self._place, faults.ENDED_IN_STREAM)) from None
        except ModelFailed as failed:
            raise self._failed(faults.stream_broken(self._place, str(failed))) from None
        if part:
            return part
        await self.aclose()
        if asyncio.get_running_loop().time() >= self._until:
            raise faults.stream_timed_out(self._place)
        raise StopAsyncIteration

    def _failed(self, error: ServiceError) -> ServiceError:
        self._close()
        return error

    async def aclose(self) -> None:
        self._close()

    def _close(self) -> None:
        self._end.cancel()
        self._stream.close()
