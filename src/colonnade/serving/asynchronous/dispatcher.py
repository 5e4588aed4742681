"""Takes requests out of the queue as far as there is capacity, one dispatcher in each gateway worker.

The bound is the endpoint's, not the worker's: claims are counted in the store. A dispatcher looks when it is told of a request or a
route, when one of its requests has ended, and every second in any case: so a lost signal costs a second, and no request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import lease
from colonnade.kernel.store import Key, Stored
from colonnade.serving.asynchronous import queue
from colonnade.serving.asynchronous.processing import Processing
from colonnade.serving.router import Router
from colonnade.serving.routes import Measure, Route, Variant

_log = logging.getLogger(__name__)
TOPIC = "asynchronous"
"""Signal: a request of the subject's endpoint waits."""
_LOOK_AGAIN = 1.0
_THREADS = 8


class Dispatcher:
    """Made before the worker serves; `start` is called on its event loop, `stop` awaited there."""

    def __init__(self, platform: Platform, router: Router) -> None:
        self._platform = platform
        self._router = router
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="asynchronous")
        self._processing = Processing(platform, router, self._threads)
        self._me = lease.holder()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()
        for topic in (TOPIC, "routes", "clock"):
            platform.signals.subscribe(topic, self._wake)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())

    async def stop(self) -> None:
        """What is under way goes back into the queue."""
        tasks = [*self._working, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _wake(self, subject: str) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)

    async def _run(self) -> None:
        while True:
            self._told.clear()
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - logged, and tried again: the dispatcher must outlive a store that fails for a while
                _log.exception("looking for asynchronous requests failed; trying again in %g s", _LOOK_AGAIN)
            try:
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._told.wait()
            except TimeoutError:
                continue

    async def _look(self) -> None:
        routes = {key: route for key, route in self._router.routes().items() if _variants(route)}
        if not routes:
            return
        claimed, expired = await asyncio.get_running_loop().run_in_executor(self._threads, self._take, routes)
        for request in expired:
            key = queue.endpoint_of(request.key)
            first = _variants(routes[key])[0].name
            self._begin(self._processing.expire(request, self._measure(key, first)))
        for request in claimed:
            key = queue.endpoint_of(request.key)
            variant = self._choose(routes[key]).name
            measure = self._measure(key, variant)
            self._begin(self._processing.process(request, variant, measure))

    def _take(self, routes: Mapping[Key, Route]) -> tuple[list[Stored], list[Stored]]:
        store, now = self._platform.store, self._platform.clock.now()
        queue.recover(store)
        claimed: list[Stored] = []
        expired: list[Stored] = []
        for key, route in routes.items():
            expired += queue.claim_expired(store, key, self._me, now)
            claimed += queue.claim(store, key, capacity(route), self._me, now)
        return claimed, expired

    def _choose(self, route: Route) -> Variant:
        """By weight among those that have instances."""
        return route.choose_among(
            [
                variant
                for variant in _variants(route)
                if variant.asynchronous and variant.asynchronous.capacity
            ],
            self._router.random,
        )

    def _measure(self, key: Key, variant: str) -> Measure:
        """From any thread; the event loop counts."""
        loop = asyncio.get_running_loop()

        def measure(metric: str, value: float = 1.0) -> None:
            loop.call_soon_threadsafe(self._router.measure, key, variant, metric, value)

        return measure

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._told.set()


def _variants(route: Route) -> Sequence[Variant]:
    return [variant for variant in route.variants.values() if variant.asynchronous is not None]


def capacity(route: Route) -> int:
    return sum(variant.asynchronous.capacity for variant in _variants(route) if variant.asynchronous)
