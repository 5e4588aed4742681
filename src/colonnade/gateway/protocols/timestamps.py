"""Instants on the wire: epoch seconds inside, and per protocol and place ISO 8601, RFC 822 or a number outside."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any


def read(value: Any) -> float:
    """Any of the three forms, whichever was declared: clients are not consistent. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise ValueError(f"not a timestamp: {value!r}")
    try:
        return _finite(float(value))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = parsedate_to_datetime(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(f"not a timestamp: {number}")
    return number


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
