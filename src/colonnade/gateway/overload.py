"""Refuses calls of endpoints that waited too long for their turn in this worker, before anything is done for them.

A worker answers one call after the other, so what comes faster than it can answer waits in its clients' sockets; without a bound
everybody would wait longer and longer, and give up at last, when the work is done for nobody. `connection` asks here with the
bytes as they come: a refusal costs a few microseconds, so nearly all of the worker's time goes to calls that are still wanted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

LONGEST = 0.1
"""Seconds that a call may wait after the event loop found it."""
_LEAST = 16
"""What comes before it is worth looking at the clock: a process that the machine let stand still is not overloaded."""
_CALL = b"POST /endpoints/"
_BODY = b'{"message":"This server has more calls than it can answer in time. Try again later."}'
_HEAD = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: application/json\r\n"
    b"x-amzn-errortype: ServiceUnavailable\r\n"
    b"retry-after: 1\r\n"
    b"content-length: %d\r\n"
    b"x-amzn-requestid: " % len(_BODY)
)


class Overload:
    """One per worker. A turn of its event loop is what it does between two looks at its sockets: what is called soon comes at
    its end, when everything that was found has been read."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._began = 0.0
        self._taken = 0

    def refusal(self, data: bytes, call_soon: Callable[[Callable[[], None]], object]) -> bytes | None:
        """The answer to the call that `data` is; None for one that is to be answered, and for whatever is no whole call."""
        self._taken += 1
        if self._taken <= _LEAST:
            if self._taken == _LEAST:
                self._began = self._clock()
                call_soon(self._end)
            return None
        if self._clock() - self._began <= LONGEST or not _is_whole_call(data):
            return None
        return b"%b%b\r\n\r\n%b" % (_HEAD, _request_id(), _BODY)

    def _end(self) -> None:
        self._taken = 0


def _is_whole_call(data: bytes) -> bool:
    """Head and body, no more and no less, of a connection that stays."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or not data.startswith(_CALL):
        return False
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0 or b"\r\nconnection: close" in head or b" http/1.0\r\n" in head:
        return False
    length = head[at + 17 :].partition(b"\r\n")[0].strip()
    return length.isdigit() and int(length) == len(data) - end - 4


def _request_id() -> bytes:
    found = os.urandom(16).hex()
    return f"{found[:8]}-{found[8:12]}-{found[12:16]}-{found[16:20]}-{found[20:]}".encode()
