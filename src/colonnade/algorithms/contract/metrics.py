"""Metric definitions: how the platform finds an algorithm's metrics in its log."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    name: str
    regex: str
    """Searched in each log line; group 1 is the value."""
    maximize: bool
    tunable: bool = False
    """May be the objective of a tuning job."""

    def find(self, line: str) -> float | None:
        """The value in a log line.

        >>> Metric("loss", r"loss=(\\S+)", maximize=False).find("epoch 1 loss=0.25")
        0.25
        """
        found = re.search(self.regex, line)
        try:
            return float(found[1]) if found else None
        except ValueError:
            return None
