"""Metrics over time, kept in a database file of their own: CloudWatch's storage, which workers write and everybody reads.

A series is a metric with its dimensions; a point of it summarises the values of one minute (or second). Points of a past day are
packed into a block; as they age they are merged into coarser ones, as CloudWatch does: minutes for 15 days, five minutes for 63,
hours for 455, then nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from colonnade.statistics.sketch import Sketch

Dimensions = tuple[tuple[str, str], ...]
"""(name, value) pairs in order of their names."""


class Series(NamedTuple):
    account: str
    region: str
    namespace: str
    name: str
    dimensions: Dimensions = ()
    unit: str = "None"


class Point(NamedTuple):
    at: float
    """Epoch seconds of its beginning."""
    values: Sketch


class Datum(NamedTuple):
    series: Series
    at: float
    values: Sketch
    resolution: int = 60
    """Seconds that its point covers: 60, or 1 for the first three hours."""
