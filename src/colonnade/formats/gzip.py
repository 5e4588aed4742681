"""gzip around a training file, recognised by its first bytes whatever the file is called."""

from __future__ import annotations

import gzip
import zlib

from colonnade.formats import FormatError

_MAGIC = b"\x1f\x8b"


def inflated(data: bytes, source: str = "") -> bytes:
    """The content, decompressed if it was compressed."""
    if not data.startswith(_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"broken gzip data ({error}). Compress the file again.", source=source) from None
