"""Bounds the calls that a serverless variant answers at a time, over all workers, and tells the leader how many there are.

Each call holds a place: a byte of a file that the workers share, locked. The kernel frees the places of a worker that is killed.
Without a file (one process, tests) this worker's own calls are all that count. Everything here runs on the event loop.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LARGEST = 4 * 1024 * 1024
"""Bytes of a request's body, and of an answer's."""
TOPIC = "demand"
"""Signal: [endpoint, variant, worker, calls under way]."""
_TELL_SECONDS = 0.5


class Gate:
    def __init__(self, limit: int, place: Path | None, tell: Callable[[int], None]) -> None:
        """`tell` the leader of the calls that are under way here; it must not block."""
        self.limit = limit
        self._tell = tell
        self._held: set[int] = set()
        self._told = 0
        self._telling: asyncio.Task[None] | None = None
        self._file = -1 if place is None else os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def enter(self) -> int | None:
        """A place, to be given back by `leave`; None when all are taken."""
        for offset in range(self.limit):
            place = (offset + os.getpid()) % self.limit
            if place not in self._held and self._lock(place):
                self._held.add(place)
                self._demand()
                return place
        return None

    def leave(self, place: int) -> None:
        self._held.discard(place)
        if self._file >= 0:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def close(self) -> None:
        """The variant is gone. Calls that are under way lose their places, and nobody else wants them."""
        if self._telling is not None:
            self._telling.cancel()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock(self, place: int) -> bool:
        if self._file < 0:
            return True
        with suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            return True
        return False

    def _demand(self) -> None:
        """At once when there are more calls than the leader knows of; as long as there are any, again and again: that is what
        keeps the processes, and what a leader that has just begun needs to hear."""
        if len(self._held) > self._told:
            self._told = len(self._held)
            self._tell(self._told)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._keep_telling())

    async def _keep_telling(self) -> None:
        while self._held:
            await asyncio.sleep(_TELL_SECONDS)
            self._told = len(self._held)
            self._tell(max(1, self._told))
        self._told = 0


def message(endpoint: str, variant: str, worker: str, calls: int) -> str:
    return json.dumps([endpoint, variant, worker, calls])
