"""What a process counts about itself, for `/_colonnade/metrics`: sums since it began, which another process can add up.

Each process has one `Measures` on its platform. Counting is a dictionary's look-up and two additions, since it happens at
every request. Nothing is written anywhere until somebody asks: the signal `metrics` makes each process leave a report as a file,
and the worker that was asked adds the reports (`gateway/metrics.py`).
"""

from __future__ import annotations

import os
import resource
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from colonnade.kernel.signals import Signals
from colonnade.kernel.store import Reader, Store, Transaction

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of a histogram's buckets, in seconds; one more bucket holds the rest."""
REPORTS = Path("run", "metrics")


class Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """By bucket, each without those below it."""
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


class Measures:
    def __init__(self) -> None:
        self.store_writes = Histogram()
        self._writes_lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], Histogram] = {}
        self._invocations: Callable[[], Sequence[Any]] = lambda: ()
        self._models: Callable[[], Mapping[str, Any]] = lambda: {"noted": (), "loaded": ()}

    def request(self, service: str, operation: str, status: int, seconds: float) -> None:
        """From the event loop's thread only."""
        key = (service, operation, status)
        histogram = self._requests.get(key)
        if histogram is None:
            histogram = self._requests[key] = Histogram()
        histogram.add(seconds)

    def store_write(self, seconds: float) -> None:
        with self._writes_lock:
            self.store_writes.add(seconds)

    def invocations_from(self, source: Callable[[], Sequence[Any]]) -> None:
        """Where to read [region, endpoint, variant, invocations, client errors, server errors, seconds], each a sum."""
        self._invocations = source

    def models_from(self, source: Callable[[], Mapping[str, Any]]) -> None:
        """Where to read what endpoints of many models do: `noted`, [region, endpoint, variant, metric, sum, count], and `loaded`,
        [region, endpoint, variant, models in memory]."""
        self._models = source

    def report(self) -> dict[str, Any]:
        return {
            "requests": [[*key, seen.counts, seen.sum] for key, seen in list(self._requests.items())],
            "store_writes": [self.store_writes.counts, self.store_writes.sum],
            "invocations": list(self._invocations()),
            "models": self._models(),
            "cpu_seconds": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
            "resident_bytes": _resident_bytes(),
        }


class MeasuredStore:
    """A store that times its transactions: waiting for their turn, their work, and their way to the disk."""

    def __init__(self, store: Store, measures: Measures) -> None:
        self._store = store
        self._measures = measures
        self.close = store.close

    def read(self) -> AbstractContextManager[Reader]:
        return self._store.read()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        began = perf_counter()
        try:
            with self._store.write() as transaction:
                yield transaction
        finally:
            self._measures.store_write(perf_counter() - began)


def report_when_asked(signals: Signals, measures: Measures, data: Path, name: str) -> None:
    """Leave a report at each signal `metrics`, whose subject says which asking it belongs to."""
    folder = data / REPORTS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{os.getppid()}-{os.getpid()}.json"

    def report(asking: str) -> None:
        draft = path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode({"process": name, "asking": asking, **measures.report()}))
        draft.replace(path)

    signals.subscribe("metrics", report)


def reports(data: Path) -> list[dict[str, Any]]:
    """The latest of every process that this server has had: counters of one that died still count. Those of an earlier
    server on the same folder are removed."""
    found = []
    for path in sorted((data / REPORTS).glob("*.json")):
        if path.name.startswith(f"{os.getppid()}-"):
            found.append(msgspec.json.decode(path.read_bytes()))
        else:
            path.unlink(missing_ok=True)
    return found


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
