"""A worker's end of one replica: an asyncio protocol that sends frames and hands out their answers in order.

Made by `connect` on the worker's event loop, used by `router`. When the replica goes, every unanswered call learns it by
`ReplicaLost`, and whether it was the one that the replica was working on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from typing import cast

from colonnade.serving.frames import PING, Answer, Answers, FrameError, Request, pack_request

_CHUNK = 256 * 1024


class ReplicaLost(Exception):  # noqa: N818 - a condition that the router handles
    """The replica went before it answered."""

    def __init__(self, *, suspect: bool, among: int = 1) -> None:
        super().__init__("the replica ended before it answered")
        self.suspect = suspect
        """Whether the replica was at work on this call, which so may be what killed it."""
        self.among = among
        """How many calls it was at work on."""


class Connection(asyncio.Protocol):
    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._transport: asyncio.WriteTransport | None = None
        self._answers = Answers()
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._draining = False

    @property
    def alive(self) -> bool:
        return self._transport is not None and not self._draining

    @property
    def outstanding(self) -> int:
        return len(self._waiting)

    async def ask(self, request: Request) -> Answer:
        """Raises ReplicaLost. A caller that stops waiting (time-out) leaves the place in the line to its answer."""
        if self._transport is None:
            raise ReplicaLost(suspect=False)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(pack_request(request))
        return await future

    async def ping(self) -> None:
        """Returns when the replica has answered everything before, and this."""
        await self.ask(Request(PING))

    def close(self) -> None:
        """At once, whatever is unanswered; `lost` is not called."""
        self._draining = True
        if self._transport is not None:
            self._transport.abort()

    def drain(self) -> None:
        """Close when everything asked has been answered; ask no more."""
        self._draining = True
        self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self._draining and not self._waiting and self._transport is not None:
            self._transport.close()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._hand_out(data)
        except (FrameError, IndexError):
            if self._transport is not None:
                self._transport.abort()
        self._close_if_drained()

    def _hand_out(self, data: bytes) -> None:
        for answer in self._answers.feed(data):
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._transport is not None:
            with contextlib.suppress(FrameError, IndexError):
                self._hand_out(unread(self._transport))
        self._transport = None
        suspect = True
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(ReplicaLost(suspect=suspect))
            suspect = False
        if not self._draining:
            self._lost()


def unread(transport: asyncio.WriteTransport) -> bytes:
    """What a replica still said before it went: the event loop drops it when it is a write that finds the other end gone."""
    found = bytearray()
    with contextlib.suppress(OSError):
        while data := os.read(transport.get_extra_info("socket").fileno(), _CHUNK):
            found += data
    return bytes(found)


async def connect(address: str, lost: Callable[[], None], *, timeout: float = 2.0) -> Connection:
    """Raises OSError when nobody listens there, TimeoutError. `lost` is called once, when the connection breaks by itself."""
    loop = asyncio.get_running_loop()
    kind, _, place = address.partition(":")
    async with asyncio.timeout(timeout):
        if kind == "unix":
            _, connection = await loop.create_unix_connection(lambda: Connection(lost), place)
        elif kind == "tcp":
            host, _, port = place.rpartition(":")
            _, connection = await loop.create_connection(lambda: Connection(lost), host, int(port))
        else:
            raise ValueError(f"not a replica's address: {address!r} (want unix:<path> or tcp:<host>:<port>)")
    return connection
