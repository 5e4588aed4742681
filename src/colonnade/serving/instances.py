"""The instances behind a variant, as a worker sees them: a slot for a compiled model, or a replica at its address.

Made by `snapshot`, asked by `router`. Everything here runs on the worker's event loop unless it says otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from colonnade.serving.compiled import InvocationError
from colonnade.serving.connection import Connection, ReplicaLost, connect
from colonnade.serving.frames import Answer, Request
from colonnade.serving.http_server import HTTP, HttpServer
from colonnade.serving.streams import Stream, Whole, from_replica

_LARGE = 64 * 1024
"""Bytes of a body that is predicted in a thread, so that it holds up nobody else."""
_SLOWEST_RETRY = 2.0


class Instance(Protocol):
    @property
    def name(self) -> str:
        """Which one; equal for none but itself."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it is worth asking."""
        ...

    @property
    def outstanding(self) -> int:
        """Calls of this worker that it has not answered."""
        ...

    async def ask(self, request: Request) -> Answer:
        """Raises ReplicaLost when it goes before it answers."""
        ...

    async def stream(self, request: Request) -> Stream:
        """The answer in parts, from its head on. Raises ReplicaLost."""
        ...

    def drain(self) -> None:
        """No more calls will come: go when those that are under way have been answered."""
        ...


class Predicts(Protocol):
    """A loaded compiled model. Raises InvocationError; callable from several threads."""

    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]: ...


class Slot:
    """A compiled model within this process: it is always there."""

    alive = True

    def __init__(self, name: str, model: Predicts) -> None:
        self.name = name
        """Which compiled model, in which container environment."""
        self._model = model
        self.outstanding = 0

    async def ask(self, request: Request) -> Answer:
        if len(request.body) <= _LARGE:
            return self._predict(request)
        self.outstanding += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(None, self._predict, request)
        finally:
            self.outstanding -= 1

    async def stream(self, request: Request) -> Stream:
        return Whole(await self.ask(request))

    def _predict(self, request: Request) -> Answer:
        try:
            body, content_type = self._model.invoke(request.body, request.content_type, request.accept)
        except InvocationError as error:
            return Answer(error.status, str(error).encode(), "text/plain")
        return Answer(200, body, content_type)

    def drain(self) -> None:
        """Nothing to give back."""


class Replica:
    """A process at an address. When its connection breaks it is tried again until the instance is drained: the process
    may be there still; if it is not, the next route will leave this instance out."""

    def __init__(self, address: str, changed: Callable[[], None], lost: Callable[[], None]) -> None:
        self.address = address
        self._changed = changed
        self._lost = lost
        self._connection: Connection | HttpServer | None = None
        self._streams = 0
        self._retry: asyncio.Task[None] | None = None
        self._drained = False

    @property
    def name(self) -> str:
        return self.address

    @property
    def alive(self) -> bool:
        return self._connection is not None and self._connection.alive

    @property
    def outstanding(self) -> int:
        return self._streams + (self._connection.outstanding if self._connection is not None else 0)

    async def open(self) -> None:
        """Connect, and have a ping answered. Raises OSError, TimeoutError or ReplicaLost."""
        connection = await self._reach()
        try:
            async with asyncio.timeout(10):
                await connection.ping()
        except BaseException:
            connection.close()
            raise
        if self.alive or self._drained:
            connection.close()
        else:
            self._connection = connection

    async def _reach(self) -> Connection | HttpServer:
        if self.address.startswith(HTTP):
            return HttpServer(self.address, self._broken)
        return await connect(self.address, self._broken)

    def open_later(self) -> None:
        self._retry = asyncio.get_running_loop().create_task(self._reopen())

    async def ask(self, request: Request) -> Answer:
        if self._connection is None:
            raise ReplicaLost(suspect=False)
        return await self._connection.ask(request)

    async def stream(self, request: Request) -> Stream:
        if self._connection is None:
            raise ReplicaLost(suspect=False)
        if isinstance(self._connection, HttpServer):
            return await self._connection.stream(request)
        self._streams += 1
        try:
            return await from_replica(self.address, request, ended=self._stream_ended)
        except BaseException:
            self._streams -= 1
            raise

    def _stream_ended(self) -> None:
        self._streams -= 1

    def drain(self) -> None:
        self._drained = True
        if self._retry is not None:
            self._retry.cancel()
        if self._connection is not None:
            self._connection.drain()

    def _broken(self) -> None:
        if self._connection is None:
            return  # it never was in service: whoever opens it is told
        self._connection = None
        if not self._drained:
            self._lost()
            self.open_later()

    async def _reopen(self) -> None:
        wait = 0.05
        while not self._drained:
            await asyncio.sleep(wait)
            wait = min(wait * 2, _SLOWEST_RETRY)
            try:
                await self.open()
            except (OSError, TimeoutError, ReplicaLost):
                continue
            self._changed()
            return
