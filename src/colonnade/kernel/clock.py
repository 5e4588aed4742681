"""Time, passed in. Everything that waits, expires or stamps asks the clock it was given, so that tests can drive it.

Instants are epoch seconds (float) everywhere inside; the protocols turn them into each wire's form.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

_LAST = 253_402_300_799.0
"""The end of year 9999: no protocol can write a later instant."""


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
        self._start = start
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> float:
        """Answers the new time. Raises ValueError for one that is earlier, or past the year 9999."""
        with self._lock:
            return self._move(self._now + seconds)

    def advance_to(self, instant: float) -> float:
        with self._lock:
            return self._move(instant)

    def _move(self, instant: float) -> float:
        if not self._now <= instant <= _LAST:
            raise ValueError(
                f"a clock goes forward, and to the year 9999 at most: from {self._now}, not to {instant}"
            )
        self._now = instant
        return instant

    def restart(self) -> None:
        """As new: only when nothing is left that remembers a later time."""
        with self._lock:
            self._now = self._start
