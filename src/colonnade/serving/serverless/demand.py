"""What the leader knows of the calls to serverless variants: how many there were at a time, within the idle time-out.

Workers tell it by signals, again and again while they have calls. It lives in memory alone: a leader that has just begun keeps what
stands for one idle time-out, within which it hears of whatever is used. Real time, like all supervision of processes.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import key_of, wake
from colonnade.kernel.store import Key
from colonnade.serving.serverless.gate import TOPIC

_FRESH = 2.0
"""Seconds for which a worker's word counts."""
Place = tuple[Key, str]


class Demand:
    def __init__(
        self, platform: Platform, idle_seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.idle_seconds = idle_seconds
        self._platform = platform
        self._now = now
        self._began = now()
        self._lock = threading.Lock()
        self._said: dict[Place, dict[str, tuple[float, int]]] = {}
        """By worker: when it last spoke, and of how many calls."""
        self._peaks: dict[Place, deque[tuple[float, int]]] = {}
        """When there were how many calls, the largest first: each smaller one is later."""
        self._woken: dict[Place, float] = {}
        platform.signals.subscribe(TOPIC, self._hear)

    def _hear(self, subject: str) -> None:
        endpoint, variant, worker, calls = json.loads(subject)
        self.note(key_of(endpoint), variant, worker, int(calls))

    def note(self, endpoint: Key, variant: str, worker: str, calls: int) -> None:
        now, place = self._now(), (endpoint, variant)
        with self._lock:
            said = self._said.setdefault(place, {})
            said[worker] = (now, calls)
            total = sum(calls for at, calls in said.values() if now - at < _FRESH)
            peaks = self._fresh(place, now)
            more = not peaks or total > peaks[0][1] or now - self._woken.get(place, 0.0) > 1.0
            while peaks and peaks[-1][1] <= total:
                peaks.pop()
            peaks.append((now, total))
            if more:
                self._woken[place] = now
        if more:
            wake(self._platform, endpoint)

    def wanted(self, endpoint: Key, variant: str, *, least: int, most: int, standing: int) -> int:
        """How many processes there shall be, where so many stand."""
        now = self._now()
        with self._lock:
            peaks = self._fresh((endpoint, variant), now)
            asked = peaks[0][1] if peaks else 0
        if now - self._began < self.idle_seconds:
            asked = max(asked, standing)
        return max(least, min(most, asked))

    def _fresh(self, place: Place, now: float) -> deque[tuple[float, int]]:
        """Those within the idle time-out."""
        peaks = self._peaks.setdefault(place, deque())
        while peaks and now - peaks[0][0] > self.idle_seconds:
            peaks.popleft()
        return peaks
