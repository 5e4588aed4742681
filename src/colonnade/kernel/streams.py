"""Bytes that are too many to hold: how a request's body reaches an operation and how an answer's body leaves it.

The gateway implements `BodyReader`; operations (S3's objects, a log export) implement `ByteStream`. Both sides are
synchronous: operations run in threads, and the gateway bridges to the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable


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


Event = Mapping[str, Mapping[str, Any]]
"""One event of an event stream: its one name in the model, and its members. `{"PayloadPart": {"Bytes": b"..."}}`"""

Events = Iterable[Event | None] | AsyncIterable[Event | None]
"""An event-stream member of a result (`Body` of InvokeEndpointWithResponseStream). Each event is sent when it is yielded.

A plain iterator gets a thread of its own, so that waiting in it holds up nobody; it yields None for "nothing yet", so that it can be
stopped. An asynchronous one runs on the event loop and is cancelled where it waits. `close`, or `aclose`, is called at the end and
when the client leaves. A ServiceError raised on the way ends the stream with that error; other accidents with InternalFailure."""
