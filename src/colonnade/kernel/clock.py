"""Time, passed in. Everything that waits, expires or stamps asks the clock it was given, so that tests can drive it.

Instants are epoch seconds (float) everywhere inside; the protocols turn them into each wire's form.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Epoch seconds."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.time()


class ManualClock:
    """A clock that stands still until somebody moves it. Safe to use from several threads."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> float:
        if seconds < 0:
            raise ValueError(f"a clock does not go back: {seconds} s")
        with self._lock:
            self._now += seconds
            return self._now
