"""Long polling: whoever waits for a queue's next message is woken when one is sent, by whichever process it was.

A wake-up may be lost, and messages also become visible by the passing of time, so a waiter looks again every second in any case.
"""

from __future__ import annotations

import asyncio
import threading
from weakref import WeakKeyDictionary

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import subject_of
from colonnade.kernel.store import Key

_TOPIC = "queue"
_LOOK_AGAIN = 1.0
_lock = threading.Lock()
_waiting: WeakKeyDictionary[Platform, Waiting] = WeakKeyDictionary()


class Waiting:
    """Those of this process who wait, by queue."""

    def __init__(self, platform: Platform) -> None:
        self._futures: dict[str, set[asyncio.Future[None]]] = {}
        platform.signals.subscribe(_TOPIC, self._woken)

    def _woken(self, subject: str) -> None:
        with _lock:
            futures = self._futures.pop(subject, set())
        for future in futures:
            future.get_loop().call_soon_threadsafe(_done, future)

    def begin(self, queue: Key) -> asyncio.Future[None]:
        """From before one looks, so that nothing arrives between looking and waiting."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with _lock:
            self._futures.setdefault(subject_of(queue), set()).add(future)
        return future

    def end(self, queue: Key, future: asyncio.Future[None]) -> None:
        with _lock:
            self._futures.get(subject_of(queue), set()).discard(future)


async def until(future: asyncio.Future[None], seconds: float) -> None:
    """Until it is done or so many seconds have passed, or one look's time."""
    await asyncio.wait([future], timeout=min(seconds, _LOOK_AGAIN))


def waiting(platform: Platform) -> Waiting:
    with _lock:
        found = _waiting.get(platform)
    if found is None:
        found = Waiting(platform)
        with _lock:
            found = _waiting.setdefault(platform, found)
    return found


def arrived(platform: Platform, queue: Key) -> None:
    platform.signals.notify(_TOPIC, subject_of(queue))


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
