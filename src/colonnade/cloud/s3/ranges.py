"""`Range: bytes=...` of one object. What is no single range of bytes is ignored, as S3 and RFC 9110 do."""

from __future__ import annotations

import re

from colonnade.cloud.s3.refusals import refusal

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


def resolve(text: str | None, size: int) -> tuple[int, int] | None:
    """(first, last) byte, both inclusive; None for the whole object. Raises InvalidRange when no byte is meant.

    >>> resolve("bytes=0-3", 10), resolve("bytes=7-", 10), resolve("bytes=-4", 10), resolve("bytes=2-99", 10)
    ((0, 3), (7, 9), (6, 9), (2, 9))
    >>> resolve("lines=1-2", 10) is resolve("bytes=5-2", 10) is None
    True
    """
    found = _RANGE.fullmatch(text.strip().lower()) if text else None
    if found is None or found.group() == "bytes=-":
        return None
    first_text, last_text = found.groups()
    if not first_text:
        first, last = max(0, size - int(last_text)), size - 1
    else:
        first, last = int(first_text), int(last_text) if last_text else size - 1
        if last_text and int(last_text) < first:
            return None
    if first >= size or last < first:
        raise refusal("InvalidRange", ActualObjectSize=str(size), RangeRequested=str(text))
    return first, min(last, size - 1)
