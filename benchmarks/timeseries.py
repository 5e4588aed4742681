"""What metrics take on disk, and how long a day's graph takes: `python benchmarks/timeseries.py`.

A busy variant has two series of latencies (300 calls a minute, spread like real ones) and five of counts. A day of each is packed as
the storage packs it; 30 days of 100 busy endpoints of two variants are 15 days of minutes and 15 of five minutes.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from colonnade.statistics.sketch import Sketch
from colonnade.timeseries import Datum, Point, Series
from colonnade.timeseries.blocks import packed
from colonnade.timeseries.database import DAY, Timeseries, merged

MINUTES, CALLS, VARIANTS = 1440, 300, 200
LATENCY = Series("1", "us-east-1", "AWS/SageMaker", "ModelLatency", (("EndpointName", "e"),), "Microseconds")


def latencies(rng: random.Random) -> list[Point]:
    points = []
    for minute in range(MINUTES):
        values = Sketch()
        for _ in range(CALLS):
            values.add(rng.lognormvariate(6, 0.5))
        points.append(Point(60 * minute, values))
    return points


def counts(rng: random.Random) -> list[Point]:
    points = []
    for minute in range(MINUTES):
        values = Sketch()
        values.add(1.0, CALLS + rng.randint(-20, 20))
        points.append(Point(60 * minute, values))
    return points


def mib(minutes: float, five_minutes: float) -> float:
    return VARIANTS * 15 * (minutes + five_minutes) / 2**20


def main() -> None:
    rng = random.Random(1)
    latency, count = latencies(rng), counts(rng)
    sizes = [2 * len(packed(points, 0)) for points in (latency, merged(_copies(latency), 300))]
    plain = [5 * len(packed(points, 0)) for points in (count, merged(_copies(count), 300))]
    print(f"30 days of 100 busy endpoints: {mib(sizes[0] + plain[0], sizes[1] + plain[1]):.0f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        database = Timeseries(Path(folder) / "metrics.db")
        database.put([Datum(LATENCY, point.at, point.values) for point in latency])
        database.pack(DAY * 2)
        for name, totals, share in (("average", True, None), ("p99", False, 0.99)):
            times = []
            for _ in range(9):
                began = time.perf_counter()
                for point in merged(database.read(LATENCY, 0, DAY, totals=totals), 300):
                    if share is not None:
                        point.values.quantile(share)
                times.append(time.perf_counter() - began)
            print(f"a day's graph in five minutes, {name}: {sorted(times)[4] * 1000:.1f} ms (median of 9)")
        database.close()


def _copies(points: list[Point]) -> list[Point]:
    """`merged` adds to the first of each period."""
    copies = []
    for point in points:
        values = Sketch()
        values.merge(point.values)
        copies.append(Point(point.at, values))
    return copies


if __name__ == "__main__":
    main()
