"""Names in the store's order."""

from __future__ import annotations


def end_of_prefix(prefix: str) -> str:
    """The least text above everything that begins with `prefix`; empty when nothing is above.

    >>> end_of_prefix("logs/"), end_of_prefix("a\\U0010ffff")
    ('logs0', 'b')
    """
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return ""
    above = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if above == 0xD800 else above)  # Surrogates are no characters of UTF-8.
