"""Instants on the wire: epoch seconds inside, and per protocol and place ISO 8601, RFC 822 or a number outside."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

_FIRST = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""A day from either end of the calendar, so that every zone can show them."""
_LONGEST = 64


def read(value: Any) -> float:
    """Any of the three forms, whichever was declared: clients are not consistent. Raises ValueError, TypeError or
    OverflowError, also for instants that no calendar holds: nothing could answer with them."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _dated(float(value))
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError("not a timestamp")
    try:
        number = float(value)
    except ValueError:
        return _dated(_written(value))
    return _dated(number)


def _written(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (IndexError, AttributeError) as error:  # The library's parser has its own accidents.
            raise ValueError(f"not a timestamp: {text!r}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _dated(seconds: float) -> float:
    if not _FIRST <= seconds < _LAST:
        raise ValueError(f"not a timestamp: {seconds}")
    return seconds


def epoch(value: float) -> float | int:
    """Milliseconds are the finest that AWS answers."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def epoch_text(value: float) -> str:
    return str(epoch(value))


def iso8601(value: float) -> str:
    """Seconds, with milliseconds only where there are some: what query and JSON services write."""
    thousandths = round(value * 1000)
    text = datetime.fromtimestamp(thousandths // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{thousandths % 1000:03d}Z" if thousandths % 1000 else f"{text}Z"


def iso8601_millis(value: float) -> str:
    """Always three decimals: strict S3 clients want them."""
    thousandths = round(value * 1000)
    text = datetime.fromtimestamp(thousandths // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{thousandths % 1000:03d}Z"


def rfc822(value: float) -> str:
    return formatdate(math.floor(value), usegmt=True)


WRITERS: dict[str, Callable[[float], str]] = {
    "iso8601": iso8601,
    "rfc822": rfc822,
    "unixTimestamp": epoch_text,
}
