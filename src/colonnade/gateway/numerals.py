"""Whole numbers that clients write as text. `int` takes more than HTTP knows: signs, underscores, other scripts' digits, and
so many digits that it refuses them itself."""

from __future__ import annotations

_MOST_DIGITS = 19
"""Of a 64-bit number."""


def whole(text: str) -> int | None:
    """None for anything but one to nineteen of the digits 0 to 9.

    >>> whole("007"), whole("-1"), whole("1_0"), whole("²"), whole("9" * 20)
    (7, None, None, None, None)
    """
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        return None
    return int(text)
