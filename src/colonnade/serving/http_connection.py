"""One HTTP/1.1 connection to a user's own server: an exchange at a time, whose answer is read as it comes.

Used by `http_server`, on the worker's event loop. A reader that does not keep up stops the server from sending, so an answer
of any length takes a bounded piece of memory here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import cast

import httptools

from colonnade.serving.connection import unread
from colonnade.serving.frames import FrameError, printable

_HELD = 256 * 1024
"""Bytes of an answer that may wait for their reader."""
_MOST_HEADERS = 64 * 1024


class Broken(Exception):  # noqa: N818 - a condition that the pool handles
    """The connection went, or what came over it is no HTTP."""


class HttpConnection(asyncio.Protocol):
    def __init__(self) -> None:
        self.used = False
        """Whether an exchange went over it before: its end may then be the server's tidiness and no accident."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = False
        """Whether anything of the present answer has come."""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._held = 0
        self._size = 0
        self._head = self._ended = False
        self._free = True
        self._failure: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None

    @property
    def reusable(self) -> bool:
        return (
            self._free
            and self._failure is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    async def begin(self, request: bytes) -> None:
        """Send a request and wait for the head of its answer: `status` and `headers`. Raises Broken."""
        self.used = self.used or self.begun
        self.begun = self._head = self._ended = self._free = False
        self.headers, self._size = {}, 0
        if self._transport is None or self._failure is not None:
            raise Broken("the connection is gone")
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)
        while not self._head:
            await self._more()

    async def part(self) -> bytes:
        """The next bytes of the answer's body, b"" after the last ones. Raises Broken."""
        while not self._parts and not self._ended:
            await self._more()
        if not self._parts:
            return b""
        found = self._parts.popleft()
        self._held -= len(found)
        if self._transport is not None and self._held <= _HELD:
            self._transport.resume_reading()
        return found

    def close(self) -> None:
        """At once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    async def _more(self) -> None:
        if self._failure is not None:
            raise Broken(str(self._failure)) from self._failure
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._ended or self._failure is not None:
            self._fail(Broken("the server sent more than its answer"))
            return
        try:
            self._parser.feed_data(data)
        except (
            httptools.HttpParserError,
            httptools.HttpParserUpgrade,
            FrameError,
            UnicodeDecodeError,
        ) as error:
            self._fail(Broken(f"the server's answer is no HTTP: {error}"))
        if self._held > _HELD and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._transport is not None and not self._ended and self._failure is None:
            # A server that refuses a body may answer and hang up before it has read all of it.
            with contextlib.suppress(httptools.HttpParserError, FrameError, UnicodeDecodeError):
                self._parser.feed_data(unread(self._transport))
        self._transport = None
        if self._head and not self._ended and exc is None and self._goes_on_to_the_end():
            self._ended = True
        elif not self._ended and self._failure is None:
            self._failure = exc or Broken("the server closed the connection before the end of its answer")
        self._wake()

    def _goes_on_to_the_end(self) -> bool:
        """Whether the connection's end is that of the answer, as in HTTP/1.0."""
        return "content-length" not in self.headers and "transfer-encoding" not in self.headers

    def _fail(self, failure: Exception) -> None:
        self._failure = self._failure or failure
        self.close()

    # What the parser calls

    def on_message_begin(self) -> None:
        self.begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > _MOST_HEADERS:
            raise FrameError(f"headers of more than {_MOST_HEADERS} bytes")
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            for name in ("content-type", "x-amzn-sagemaker-custom-attributes"):
                printable(self.headers.get(name, ""))
            self._head = True

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._held += len(body)

    def on_message_complete(self) -> None:
        if self._head:
            self._ended = True
            self._free = self._parser.should_keep_alive()
        else:
            self.headers = {}  # of an interim answer, which nobody asked for
