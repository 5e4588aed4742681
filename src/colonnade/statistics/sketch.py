"""A summary of numbers whose quantiles are right to one percent, and which can be added to another.

Values are counted in buckets whose bounds grow by a constant factor, so that any value of a bucket is within `ERROR` of the
bucket's middle, however large or small it is (DDSketch: Masson, Rim, Lee, VLDB 2019). Count, sum, minimum and maximum are exact.
Adding a value is a logarithm and a dictionary's update, since it happens at every invocation.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import ceil, inf, log

ERROR = 0.01
"""The most that a quantile differs from one of the values, relative to it."""
_FACTOR = (1 + ERROR) / (1 - ERROR)
_PER_LOG = 1 / log(_FACTOR)
_TOTALS = struct.Struct("<5d")
_SIZE = struct.Struct("<H")
_RUN = struct.Struct("<hHc")
_GAP = 8
"""Empty buckets that cost less than another run."""
_SMALLEST = 1e-12
"""Anything nearer to zero counts as zero."""


class Sketch:
    """
    >>> sketch = Sketch()
    >>> for value in range(1, 1001):
    ...     sketch.add(value)
    >>> sketch.count, sketch.sum, sketch.minimum, sketch.maximum
    (1000, 500500, 1, 1000)
    >>> abs(sketch.quantile(0.99) - 990) <= 9.9
    True
    """

    __slots__ = ("buckets", "count", "maximum", "minimum", "negative", "sum", "zeros")

    def __init__(self) -> None:
        self.count: float = 0
        self.sum: float = 0
        self.minimum = inf
        self.maximum = -inf
        self.zeros: float = 0
        self.buckets: dict[int, float] = {}
        """How many values are in the bucket of each number: the one that ends at `_FACTOR ** number`."""
        self.negative: dict[int, float] = {}
        """The same of negated values."""

    def add(self, value: float, times: float = 1) -> None:
        self.count += times
        self.sum += value * times
        if value < self.minimum:
            self.minimum = value
        if value > self.maximum:
            self.maximum = value
        if value > _SMALLEST:
            number = ceil(log(value) * _PER_LOG)
            self.buckets[number] = self.buckets.get(number, 0) + times
        elif value < -_SMALLEST:
            number = ceil(log(-value) * _PER_LOG)
            self.negative[number] = self.negative.get(number, 0) + times
        else:
            self.zeros += times

    def add_summary(self, count: float, total: float, minimum: float, maximum: float) -> None:
        """Values of which no more is known than this: quantiles that reach them are None, unless they are all the same."""
        if minimum == maximum:
            self.add(minimum, count)
            return
        self.count += count
        self.sum += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)

    def merge(self, other: Sketch) -> None:
        self.count += other.count
        self.sum += other.sum
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.zeros += other.zeros
        for mine, theirs in ((self.buckets, other.buckets), (self.negative, other.negative)):
            # As a list: another thread may be adding to it.
            for number, times in list(theirs.items()):
                mine[number] = mine.get(number, 0) + times

    @property
    def mean(self) -> float:
        return self.sum / self.count

    def known(self) -> bool:
        """Whether every value was counted in a bucket."""
        counted = sum(self.buckets.values()) + sum(self.negative.values()) + self.zeros
        return abs(counted - self.count) <= 1e-9 * max(1.0, self.count)

    def quantile(self, share: float) -> float | None:
        """The least value that at least `share` (0 to 1) of all values do not exceed. None for none, and for summaries."""
        if not self.count or not self.known():
            return None
        if share <= 0 or share >= 1:
            return self.maximum if share >= 1 else self.minimum
        wanted = share * self.count - 1e-9 * self.count
        seen = 0.0
        for number in sorted(self.negative, reverse=True):
            seen += self.negative[number]
            if seen >= wanted:
                return self._within(-_middle(number))
        seen += self.zeros
        if self.zeros and seen >= wanted:
            return self._within(0.0)
        buckets = self.buckets
        for number in sorted(buckets):
            seen += buckets[number]
            if seen >= wanted:
                return self._within(_middle(number))
        return self.maximum

    def values(self) -> Iterator[tuple[float, float]]:
        """Values in order, each with how often it occurred."""
        for number in sorted(self.negative, reverse=True):
            if self.negative[number]:
                yield self._within(-_middle(number)), self.negative[number]
        if self.zeros:
            yield self._within(0.0), self.zeros
        for number in sorted(self.buckets):
            if self.buckets[number]:
                yield self._within(_middle(number)), self.buckets[number]

    def _within(self, value: float) -> float:
        return min(max(value, self.minimum), self.maximum)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return (
            self.count == other.count
            and self.sum == other.sum
            and list(self.values()) == list(other.values())
        )

    __hash__ = None  # type: ignore[assignment]


def _middle(number: int) -> float:
    """Of a bucket: as far, relative to it, from one end as from the other."""
    return 2 * float(_FACTOR**number) / (_FACTOR + 1)


# As bytes


def pack(sketch: Sketch) -> bytes:
    """Some hundred bytes for a minute of latencies, which compress well; a few for a minute of ones."""
    out = bytearray(_TOTALS.pack(sketch.count, sketch.sum, sketch.minimum, sketch.maximum, sketch.zeros))
    _pack_buckets(out, sketch.buckets)
    _pack_buckets(out, sketch.negative)
    return bytes(out)


def unpack(data: bytes, *, totals: bool = False) -> Sketch:
    """With `totals` only count, sum, minimum and maximum, which is much faster."""
    sketch = Sketch()
    sketch.count, sketch.sum, sketch.minimum, sketch.maximum, sketch.zeros = _TOTALS.unpack_from(data)
    if not totals:
        sketch.buckets, at = _unpack_buckets(data, _TOTALS.size)
        sketch.negative, at = _unpack_buckets(data, at)
    return sketch


def _pack_buckets(out: bytearray, buckets: dict[int, float]) -> None:
    """Runs of buckets next to each other, each with as many bytes a count as its greatest needs: read without a loop."""
    runs = _runs(sorted(buckets))
    out += _SIZE.pack(len(runs))
    for first, last in runs:
        counts = [buckets.get(number, 0) for number in range(first, last + 1)]
        code = _code(counts)
        out += _RUN.pack(first, len(counts), code.encode())
        out += struct.pack(f"<{len(counts)}{code}", *map(float if code == "d" else int, counts))


def _unpack_buckets(data: bytes, at: int) -> tuple[dict[int, float], int]:
    buckets: dict[int, float] = {}
    (runs,) = _SIZE.unpack_from(data, at)
    at += _SIZE.size
    for _ in range(runs):
        first, size, code = _RUN.unpack_from(data, at)
        counts = struct.unpack_from(f"<{size}{code.decode()}", data, at + _RUN.size)
        at += _RUN.size + size * struct.calcsize(f"<{code.decode()}")
        buckets.update(zip(range(first, first + size), counts, strict=True))
    return buckets, at


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number - runs[-1][1] <= _GAP:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _code(counts: list[float]) -> str:
    if any(not float(times).is_integer() for times in counts) or max(counts) >= 1 << 32:
        return "d"
    return next(code for code, most in (("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32)) if max(counts) < most)
