"""Values in what a command prints: each line is searched with each definition; group 1 is the number (semantics 1.10).

Definitions may be written against CloudWatch's form of a line, where a tab shows as `#011`, so both forms are searched. The
regexes are the user's: one that needs more than a second for a line is dropped, for the sake of the log behind it.
"""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Iterator, Sequence
from types import FrameType

_PATIENCE = 1.0


class _TooSlow(Exception):  # noqa: N818
    pass


class MetricSearch:
    """Use it in the main thread: the clock that ends a runaway regex is a signal."""

    def __init__(self, definitions: Sequence[tuple[str, str]]) -> None:
        self._patterns = [(name, re.compile(regex)) for name, regex in definitions]
        if self._patterns:
            signal.signal(signal.SIGALRM, _give_up)

    def values(self, line: str, timestamp: float) -> tuple[list[bytes], list[str]]:
        """Rows for the metrics file, and complaints for the log."""
        rows, complaints = [], []
        for name, pattern in list(self._patterns):
            try:
                value = _searched(pattern, line)
            except _TooSlow:
                self._patterns.remove((name, pattern))
                complaints.append(
                    f"metric {name}: {pattern.pattern!r} took over {_PATIENCE} s on a line; no longer searched"
                )
                continue
            if value is not None:
                row = {"name": name, "value": value, "timestamp": timestamp}
                rows.append(json.dumps(row).encode() + b"\n")
        return rows, complaints


def _searched(pattern: re.Pattern[str], line: str) -> float | None:
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    try:
        for form in _forms(line):
            match = pattern.search(form)
            if match and (value := _number(match)) is not None:
                return value
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def _forms(line: str) -> Iterator[str]:
    yield line
    if "\t" in line:
        yield line.replace("\t", "#011")
    if "#011" in line:
        yield line.replace("#011", "\t")


def _number(match: re.Match[str]) -> float | None:
    """Group 1 as a finite number; a definition without a group, or a text like `n/a`, has none."""
    try:
        value = float(match.group(1))
    except (IndexError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise _TooSlow
