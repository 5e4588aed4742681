"""Calls that waited too long are refused by a few bytes; whatever else comes is let through."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from colonnade.gateway.overload import LONGEST, Overload

CALL = b"POST /endpoints/demo/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n1,2"


class Loop:
    """A clock, and what was called soon."""

    def __init__(self) -> None:
        self.now = 100.0
        self._soon: list[Callable[[], None]] = []
        self.overload = Overload(lambda: self.now)

    def received(self, data: bytes = CALL) -> bytes | None:
        return self.overload.refusal(data, self._soon.append)

    def overloaded(self) -> Loop:
        """In the middle of a turn that takes too long."""
        assert [self.received() for _ in range(100)] == [None] * 100
        self.now += LONGEST + 0.01
        return self

    def end_turn(self) -> None:
        self._soon.pop()()


def test_a_turn_in_time_refuses_nobody() -> None:
    loop = Loop()
    loop.received()
    loop.now += LONGEST
    assert [loop.received() for _ in range(500)] == [None] * 500


def test_calls_of_a_long_turn_are_refused_with_what_clients_read() -> None:
    loop = Loop().overloaded()
    refused = loop.received()
    assert refused is not None
    head, _, body = refused.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    for line in (
        b"retry-after: 1",
        b"x-amzn-errortype: ServiceUnavailable",
        b"content-length: %d" % len(body),
    ):
        assert line in head.split(b"\r\n")
    assert refused != loop.received(), "each has an id of its own"


def test_the_next_turn_begins_anew() -> None:
    loop = Loop().overloaded()
    loop.end_turn()
    assert [loop.received() for _ in range(100)] == [None] * 100


def test_a_process_that_stood_still_with_few_calls_answers_them() -> None:
    loop = Loop()
    for _ in range(16):
        loop.now += 10
        assert loop.received() is None
    loop.end_turn()
    loop.now += 10
    assert loop.received() is None


@pytest.mark.parametrize(
    "data",
    [
        CALL[:-1],
        CALL + b"POST",
        CALL[:40],
        CALL.replace(b"endpoints", b"bucket/key"),
        CALL.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
        CALL.replace(b"Content-Length: 3", b"Content-Length: three"),
        CALL.replace(b"HTTP/1.1", b"HTTP/1.0"),
        CALL.replace(b"Host: x", b"Connection: close"),
    ],
)
def test_what_is_no_whole_call_goes_the_ordinary_way(data: bytes) -> None:
    assert Loop().overloaded().received(data) is None
