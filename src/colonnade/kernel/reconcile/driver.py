"""Runs reconcilers: at start-up, when signalled, when due; one at a time for each key; never forgetting one.

The leader process owns the only driver. Polling of real work is in real time; a reconciler that waits for the platform's
clock compares it itself, and the `clock` signal makes the driver look at everything again.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import Again, Failed, Reconciler, key_of, registered
from colonnade.kernel.store import Conflict, Corrupt, Key

_log = logging.getLogger(__name__)
_SLOWEST_RETRY = 30.0


class Driver:
    def __init__(self, platform: Platform, *, threads: int = 8, resync_seconds: float = 5.0) -> None:
        self._platform = platform
        self._resync_seconds = resync_seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reconcile")
        self._changed = threading.Condition()
        self._due: dict[Key, float] = {}
        """When each known key is next looked at (monotonic seconds); absent while it runs, unless it was woken meanwhile."""
        self._heap: list[tuple[float, Key]] = []
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._closing = False
        self._paused = False
        self._thread = threading.Thread(target=self._loop, name="reconcile-driver", daemon=True)

    def start(self) -> None:
        self._platform.signals.subscribe("reconcile", self.wake)
        self._platform.signals.subscribe("clock", lambda _: self._resync(moved=True))
        self._thread.start()

    def stop(self) -> None:
        """No new work; what runs is waited for."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @contextmanager
    def paused(self, *, timeout: float = 30.0) -> Iterator[None]:
        """No reconciler runs inside, and whatever was due before is forgotten: for a reset, which leaves nothing to look at.
        Raises TimeoutError when those that run do not end in time."""
        with self._changed:
            self._paused = True
            idle = self._changed.wait_for(lambda: not self._running, timeout)
        try:
            if not idle:
                raise TimeoutError(
                    f"reconcilers still run after {timeout:g} s: {sorted(self._running, key=str)}"
                )
            yield
        finally:
            with self._changed:
                if idle:
                    self._due.clear()
                    self._heap.clear()
                    self._failures.clear()
                self._paused = False
                self._changed.notify_all()

    def wake(self, subject: str) -> None:
        self._schedule(key_of(subject), 0.0)

    def _schedule(self, key: Key, after: float) -> None:
        if (key.service, key.type) not in registered():
            return
        due = time.monotonic() + after
        with self._changed:
            if self._due.get(key, float("inf")) > due:
                self._due[key] = due
                heapq.heappush(self._heap, (due, key))
                self._changed.notify()

    def _resync(self, *, moved: bool = False) -> None:
        """Look for active rows that nobody told us of: those of a server that was killed, or lost signals. When the clock
        has moved, all of them are due: also those that run, since they may have read it before."""
        rows = [key for service, type_ in registered() for key in self._active(service, type_)]
        with self._changed:
            known: set[Key] = set() if moved else set(self._due) | self._running
        for key in rows:
            if key not in known:
                self._schedule(key, 0.0)

    def _active(self, service: str, type_: str) -> Sequence[Key]:
        """A row that the disk has changed must not keep those of other types from being looked after."""
        try:
            with self._platform.store.read() as reader:
                return [row.key for row in reader.scan_types(service, type_, active=True)]
        except Corrupt:
            _log.exception("the active resources of type %s:%s cannot be read", service, type_)
            return []

    def _loop(self) -> None:
        next_resync = 0.0
        while True:
            now = time.monotonic()
            if now >= next_resync:
                self._resync_safely()
                next_resync = now + self._resync_seconds
            with self._changed:
                if self._closing:
                    return
                until = next_resync
                if not self._paused:
                    self._submit_due()
                    until = min(next_resync, self._heap[0][0] if self._heap else next_resync)
                self._changed.wait(max(0.0, min(until - time.monotonic(), self._resync_seconds)))

    def _resync_safely(self) -> None:
        try:
            self._resync()
        except Exception:  # noqa: BLE001 - logged, and tried again: the driver must outlive a store that fails for a while
            _log.exception("looking for active resources failed; trying again in %g s", self._resync_seconds)

    def _submit_due(self) -> None:
        now = time.monotonic()
        later: list[tuple[float, Key]] = []
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) != due:
                continue  # an older entry of a key that was since rescheduled
            if key in self._running:
                later.append((now + 0.01, key))
                self._due[key] = now + 0.01
                continue
            del self._due[key]
            self._running.add(key)
            self._pool.submit(self._run, registered()[key.service, key.type], key)
        for entry in later:
            heapq.heappush(self._heap, entry)

    def _run(self, reconciler: Reconciler, key: Key) -> None:
        again: float | None
        try:
            outcome = reconciler.reconcile(self._platform, key)
            if isinstance(outcome, Failed):
                reconciler.fail(self._platform, key, outcome.reason)
            again = outcome.after if isinstance(outcome, Again) else None
            self._failures.pop(key, None)
        except Conflict:
            again = 0.0  # somebody changed the document meanwhile: look again at the new one
        except Exception:  # noqa: BLE001 - a reconciler's mistake is logged and tried again; it must not end the others
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            again = min(0.25 * 2**failures, _SLOWEST_RETRY)
            _log.exception(
                "reconciling %s failed (%d in a row); trying again in %.1f s", key, failures, again
            )
        with self._changed:
            self._running.discard(key)
            if self._paused:
                self._changed.notify_all()
        if again is not None:
            self._schedule(key, again)
