"""Which of a container's instances answer worse than the others do, so that they are asked less, or not at all for a while.

`routes.Container` asks when it chooses, the router tells how each call went. Everything is relative: when all instances fail or
all are slow, it is the model's or the callers' doing, and nobody is left out. At least half of the instances are always asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Protocol, TypeVar

_FAILURES = 5
"""Answers from 500 on, one after the other, that put an instance out."""
_WELL = 0.2
"""The most that another instance may fail, as a share, for that to be the instance's own fault."""
_OUT_SECONDS, _LONGEST_OUT = 10.0, 60.0
_SLOW, _NOTICED = 3.0, 0.020
"""An instance is slow that takes so many times as long as the others, and so many seconds more."""
_FORGET_SECONDS = 10.0
"""After so long without a call a slow instance is tried again."""
_WEIGHT = 0.2
"""Of the newest call in the averages."""
_JUDGE_EVERY = 8
"""Calls between two looks at who is slow."""


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


@dataclass(slots=True)
class _Record:
    seconds: float
    """A call's, on an average that forgets."""
    failing: float = 0.0
    """The share of calls that failed, likewise."""
    failures: int = 0
    """Since it last answered well."""
    outs: int = 0
    """How often it was put out without having answered well in between."""
    out_until: float = 0.0
    seen: float = 0.0


@dataclass(slots=True)
class Outliers:
    clock: Callable[[], float] = time.monotonic
    _records: dict[str, _Record] = field(default_factory=dict)
    _slow: frozenset[str] = frozenset()
    _out: bool = False
    _calls: int = 0

    def saw(self, name: str, status: int, seconds: float) -> None:
        """How an instance answered."""
        now = self.clock()
        record = self._records.setdefault(name, _Record(seconds))
        failed = status >= 500
        record.seconds += _WEIGHT * (seconds - record.seconds)
        record.failing += _WEIGHT * (failed - record.failing)
        record.seen = now
        if failed:
            record.failures += 1
            if record.failures >= _FAILURES and record.out_until <= now:
                self._put_out(name, record, now)
        else:
            record.failures = record.outs = 0
        self._calls += 1
        if self._calls % _JUDGE_EVERY == 0:
            self._slow = self._who_is_slow()

    def admitted(self, instances: Sequence[T]) -> Sequence[T]:
        """Without those that were put out; never fewer than half."""
        if not self._out:
            return instances
        now = self.clock()
        out = {name for name, record in self._records.items() if record.out_until > now}
        self._out = bool(out)
        rest = [instance for instance in instances if instance.name not in out]
        return rest if 2 * len(rest) >= len(instances) else instances

    def burden(self, name: str) -> int:
        """Calls that an instance counts for having more than it has: one, when it is slow."""
        return int(name in self._slow and self.clock() - self._records[name].seen < _FORGET_SECONDS)

    def _put_out(self, name: str, record: _Record, now: float) -> None:
        others = [other for key, other in self._records.items() if key != name]
        if any(other.failing <= _WELL for other in others):
            record.out_until = now + min(_OUT_SECONDS * 2**record.outs, _LONGEST_OUT)
            record.outs += 1
            # One failure more, when it comes back, and it is out again.
            record.failures = _FAILURES - 1
            self._out = True

    def _who_is_slow(self) -> frozenset[str]:
        if len(self._records) < 2:
            return frozenset()
        usual = median_low(record.seconds for record in self._records.values())
        bound = max(usual * _SLOW, usual + _NOTICED)
        return frozenset(name for name, record in self._records.items() if record.seconds > bound)
