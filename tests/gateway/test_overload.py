"""Calls that waited too long are refused by a few bytes; whatever else comes is let through."""

from __future__ import annotations

import pytest

from colonnade.gateway.overload import LONGEST, Overload

CALL = b"POST /endpoints/demo/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n1,2"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def in_turn(overload: Overload, count: int, turn: float = 100.0) -> list[bytes | None]:
    return [overload.refusal(turn, CALL) for _ in range(count)]


def test_a_turn_in_time_refuses_nobody() -> None:
    clock = Clock()
    clock.now += LONGEST
    assert in_turn(Overload(clock), 500) == [None] * 500


def test_calls_of_a_long_turn_are_refused_with_what_clients_read() -> None:
    clock = Clock()
    overload = Overload(clock)
    in_turn(overload, 100)
    clock.now += LONGEST + 0.01
    refused = overload.refusal(100.0, CALL)
    assert refused is not None
    head, _, body = refused.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    for line in (
        b"retry-after: 1",
        b"x-amzn-errortype: ServiceUnavailable",
        b"content-length: %d" % len(body),
    ):
        assert line in head.split(b"\r\n")
    assert refused != overload.refusal(100.0, CALL), "each has an id of its own"


def test_the_next_turn_begins_anew() -> None:
    clock = Clock()
    overload = Overload(clock)
    in_turn(overload, 100)
    clock.now += 1
    assert in_turn(overload, 3, turn=101.0) == [None] * 3


def test_a_process_that_stood_still_with_few_calls_answers_them() -> None:
    clock = Clock()
    overload = Overload(clock)
    clock.now += 10
    assert in_turn(overload, 64) == [None] * 64


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
    clock = Clock()
    overload = Overload(clock)
    in_turn(overload, 100)
    clock.now += 1
    assert overload.refusal(100.0, data) is None
