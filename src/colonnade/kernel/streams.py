"""Bytes that are too many to hold: how a request's body reaches an operation and how an answer's body leaves it.

The gateway implements `BodyReader`; operations (S3's objects, a log export) implement `ByteStream`. Both sides are
synchronous: operations run in threads, and the gateway bridges to the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable


class BodyReader(Protocol):
    """A streaming member of the parameters (`parameters["Body"]` of PutObject).

    Reading raises ServiceError when the client goes away, when the bytes do not match the signed digest, or a chunk's
    signature is wrong; what was read before then must not be kept. The last bytes are handed out only after the whole body
    was verified, so reading to `length` is enough.
    """

    length: int | None
    """Payload bytes (framing taken off); None when the client did not say."""

    trailers: Mapping[str, str]
    """Trailing headers by lower-case name (`x-amz-checksum-crc32`); complete once everything was read."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes (all that is left when negative); b"" at the end. One thread at a time."""
        ...


@runtime_checkable
class ByteStream(Protocol):
    """A streaming member of a result. Iterated once, in a thread; `close` is called exactly once, whether the end was
    reached, the client went away or iterating failed. Chunks of 256 KiB and more are cheap to send."""

    length: int
    """Bytes that iterating yields in all: it becomes Content-Length."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...
