"""Asks the leader for models, and waits: a worker cannot fetch as a role's reader or compile by itself.

One per worker. Nothing is lost with a signal: who waits also looks from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import key_of, wake
from colonnade.kernel.store import Conflict, Document, Key
from colonnade.serving.hosted.documents import SIGNAL, settled

_LOOK_EVERY = 1.0


class Unloadable(Exception):  # noqa: N818 - a finding about the model
    """It is there, and is no model that can be served: an answer of its container."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Library:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._waiting: dict[Key, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
        platform.signals.subscribe(SIGNAL, lambda subject: self._arrived(key_of(subject)))

    def _arrived(self, key: Key) -> None:
        found = self._waiting.get(key)
        if found is not None:
            loop, event = found
            loop.call_soon_threadsafe(event.set)

    async def find(self, key: Key, wanted: Callable[[], Document]) -> Document:
        """The model's document, once it is prepared. One call at a time for each key. Raises ServiceError or Unloadable with what kept
        the leader from it; the next one to ask has it tried again."""
        event = asyncio.Event()
        self._waiting[key] = (asyncio.get_running_loop(), event)
        try:
            document = await asyncio.to_thread(self._begin, key, wanted)
            while document is not None and not settled(document):
                try:
                    async with asyncio.timeout(_LOOK_EVERY):
                        await event.wait()
                except TimeoutError:
                    pass
                event.clear()
                # Somebody may have discarded it meanwhile: then it is begun anew.
                document = await asyncio.to_thread(self._look, key) or await asyncio.to_thread(
                    self._begin, key, wanted
                )
        finally:
            del self._waiting[key]
        if document is None:
            raise ServiceError("ValidationError", f"Endpoint {key.name.partition('/')[0]} is gone.")
        if "failure" in document:
            raise _refusal(document["failure"])
        return document

    async def discard(self, key: Key) -> None:
        """What is known of a model is of no use: the next to ask has it prepared from the start."""
        await asyncio.to_thread(self._discard, key)

    def _discard(self, key: Key) -> None:
        with self._platform.store.write() as transaction:
            transaction.delete(key)

    def _look(self, key: Key) -> Document | None:
        with self._platform.store.read() as reader:
            stored = reader.get(key)
        return None if stored is None else stored.document

    def _begin(self, key: Key, wanted: Callable[[], Document]) -> Document | None:
        """Have it prepared, unless it is, or somebody else does."""
        with self._platform.store.read() as reader:
            stored = reader.get(key)
        if stored is not None and "failure" not in stored.document:
            return stored.document
        version = 0 if stored is None else stored.version
        try:
            with self._platform.store.write() as transaction:
                transaction.put(key, wanted(), expect=version, at=self._platform.clock.now(), active=True)
        except Conflict:
            return self._look(key)  # another worker was first
        wake(self._platform, key)
        return self._look(key)


def _refusal(failure: Mapping[str, Any]) -> Exception:
    if "status" in failure:
        return Unloadable(failure["status"], failure["message"])
    return ServiceError(failure["code"], failure["message"], status=400)
