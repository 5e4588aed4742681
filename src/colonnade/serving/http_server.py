"""A worker's end of a user's own HTTP server: connections that are kept and used again, as many as there are calls at once.

Made by `instances` for the addresses `http+unix:<path>` and `http:<host>:<port>`. To the router it is a replica like
any other, except that it works on many calls at a time. Any connection that breaks under a call puts the whole server out of
service until it answers GET /ping again.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Callable

from colonnade.serving.connection import ReplicaLost
from colonnade.serving.frames import MAX_FRAME, Answer, Request
from colonnade.serving.http_connection import Broken, HttpConnection

HTTP = ("http:", "http+unix:")
"""What the addresses of such servers begin with."""
_MOST_IDLE = 64
_MOST_OPENING = 8
"""Connections that are being made at once: some servers let few wait."""
_CONNECT_SECONDS = 2.0
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header may hold; a new line would begin another one."""
_CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class HttpServer:
    def __init__(self, address: str, lost: Callable[[], None]) -> None:
        self._address = address
        self._lost = lost
        self._idle: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._opening = asyncio.Semaphore(_MOST_OPENING)
        self._draining = self._gone = False
        self.outstanding = 0

    @property
    def alive(self) -> bool:
        return not self._draining and not self._gone

    async def ask(self, request: Request) -> Answer:
        """Raises ReplicaLost. A caller that stops waiting closes the connection: the server may stop, too."""
        stream = await self.stream(request)
        parts, size = [], 0
        try:
            while part := await stream.part():
                parts.append(part)
                size += len(part)
                if size > MAX_FRAME:
                    return Answer(500, f"an answer of more than {MAX_FRAME} bytes".encode(), "text/plain")
        finally:
            stream.close()
        return stream.head._replace(body=b"".join(parts))

    async def stream(self, request: Request) -> HttpStream:
        """The answer from its head on. Raises ReplicaLost."""
        self.outstanding += 1
        try:
            connection = await self._begun(_invocation(request))
        except BaseException:
            self.outstanding -= 1
            raise
        return HttpStream(self, connection)

    async def ping(self) -> None:
        """Raises ReplicaLost unless GET /ping is answered by 200."""
        connection = await self._begun(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            while await connection.part():
                pass
        except Broken:
            raise ReplicaLost(suspect=False) from None
        finally:
            self._give_back(connection)
        if connection.status != 200:
            raise ReplicaLost(suspect=False)

    def close(self) -> None:
        self._draining = True
        for connection in (*self._idle, *self._busy):
            connection.close()

    def drain(self) -> None:
        self._draining = True
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    # Connections

    async def _begun(self, request: bytes) -> HttpConnection:
        """A connection over which the request went and whose answer has begun."""
        asked = False
        while True:
            connection = self._taken() or await self._opened(asked=asked)
            asked, begun = True, False
            try:
                await connection.begin(request)
                begun = True
                return connection
            except Broken:
                # A server may hang up on an idle connection at any moment, also as it is taken.
                if not connection.used or connection.begun:
                    raise self.broken() from None
            finally:
                if not begun:
                    self._give_back(connection)

    def _taken(self) -> HttpConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                self._busy.add(connection)
                return connection
        return None

    async def _opened(self, *, asked: bool) -> HttpConnection:
        """A new one. Where the call was `asked` before, over one that broke, it may be what ended the server."""
        async with self._opening:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    connection = await _open(self._address)
            except (OSError, TimeoutError):
                if asked:
                    raise self.broken() from None
                self._out_of_service()
                raise ReplicaLost(suspect=False) from None
        self._busy.add(connection)
        return connection

    def _give_back(self, connection: HttpConnection) -> None:
        self._busy.discard(connection)
        if connection.reusable and self.alive and len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def finished(self, connection: HttpConnection) -> None:
        """A stream ended, or nobody wants the rest of it."""
        self.outstanding -= 1
        self._give_back(connection)

    def broken(self) -> ReplicaLost:
        self._out_of_service()
        return ReplicaLost(suspect=True, among=self.outstanding)

    def _out_of_service(self) -> None:
        if self.alive:
            self._gone = True
            self._close_idle()
            self._lost()


class HttpStream:
    """One answer as it comes."""

    def __init__(self, server: HttpServer, connection: HttpConnection) -> None:
        headers = connection.headers
        self.head = Answer(
            connection.status, b"", headers.get("content-type", ""), headers.get(_CUSTOM_ATTRIBUTES, "")
        )
        self._server = server
        self._connection: HttpConnection | None = connection

    async def part(self) -> bytes:
        """b"" at the end. Raises ReplicaLost."""
        if self._connection is None:
            return b""
        try:
            return await self._connection.part()
        except Broken:
            raise self._server.broken() from None

    def close(self) -> None:
        """Before the end: the server learns that nobody listens any more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._server.finished(connection)


async def _open(address: str) -> HttpConnection:
    loop = asyncio.get_running_loop()
    kind, _, place = address.partition(":")
    if kind == "http":
        host, _, port = place.rpartition(":")
        return (await loop.create_connection(HttpConnection, host, int(port)))[1]
    wait = 0.005
    while True:
        try:
            return (await loop.create_unix_connection(HttpConnection, place))[1]
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        # As many wait to be accepted as the server lets wait: TCP would try again by itself.
        await asyncio.sleep(wait)
        wait = min(wait * 2, 0.1)


def _invocation(request: Request) -> bytes:
    """What the contract forwards, and nothing else."""
    lines = ["POST /invocations HTTP/1.1", "Host: localhost", f"Content-Length: {len(request.body)}"]
    lines += [
        f"{name}: {value}"
        for name, value in (
            ("Content-Type", request.content_type),
            ("Accept", request.accept),
            ("X-Amzn-SageMaker-Custom-Attributes", request.custom_attributes),
        )
        if value
    ]
    head = "\r\n".join(_CONTROL.sub(" ", line) for line in lines)
    return f"{head}\r\n\r\n".encode("latin-1", "replace") + request.body
