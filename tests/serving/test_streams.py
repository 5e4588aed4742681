"""Answers in parts, from a replica as a process: as they are made, no faster than they are read, no longer than they are wanted.

The model talks to the test over a socket of the test's, so that nothing depends on time: it waits for a word where the test
says so, and says when it is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from colonnade.kernel.errors import ServiceError
from colonnade.serving import probe
from colonnade.serving.connection import ReplicaLost, connect
from colonnade.serving.faults import Place
from colonnade.serving.frames import INVOKE, Answer, Request
from colonnade.serving.streams import FrameStream, ModelFailed, Streamed, Whole, from_replica, whole

from .test_replica_process import Start, start, until_ready

__all__ = ["start"]

CODE = """
import os, socket

def model_fn(model_dir): return 1

def transform_fn(model, body, content_type, accept):
    if body == b"whole": return b"all of it", "text/plain"
    return parts(*body.decode().split()), "text/event-stream"

def parts(what, path):
    told = socket.socket(socket.AF_UNIX)
    told.connect(path)
    try:
        if what == "none": raise ValueError("before the first")
        if what == "dead": os._exit(3)
        if what == "endless":
            made = 0
            while True:
                made += 1
                told.sendall(b"x")
                yield b"y" * 65536
        yield "first"
        if told.recv(1) == b"!": raise RuntimeError("after the first")
        if what == "die": os._exit(3)
        yield b""
        yield "second"
    finally:
        told.sendall(b"closed")
        told.close()
"""


class Listener:
    """The test's end of the model's socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(60)

    async def model(self) -> socket.socket:
        accepted, _ = await asyncio.to_thread(self._listener.accept)
        accepted.settimeout(60)
        return accepted

    def close(self) -> None:
        self._listener.close()


async def heard(model: socket.socket) -> bytes:
    """Everything until the model hangs up."""
    found = b""
    while data := await asyncio.to_thread(model.recv, 65536):
        found += data
    model.close()
    return found


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    made = Listener(tmp_path / "m")
    yield made
    made.close()


@pytest.fixture
def address(start: Start) -> str:
    process, address = start(CODE)
    until_ready(process, address)
    return address


def ask(listener: Listener, what: str) -> Request:
    return Request(INVOKE, f"{what} {listener.path}".encode(), "application/octet-stream")


async def opened(address: str, request: Request) -> FrameStream:
    return await from_replica(address, request, ended=lambda: None)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(bounded())


def test_the_first_part_is_there_before_the_last_is_made(address: str, listener: Listener) -> None:
    async def work() -> None:
        stream = await opened(address, ask(listener, "two"))
        model = await listener.model()
        assert stream.head == Answer(200, b"", "text/event-stream")
        assert await stream.part() == b"first"

        model.sendall(b".")

        assert [await stream.part(), await stream.part(), await stream.part()] == [b"second", b"", b""]
        assert await heard(model) == b"closed"

    run(work)


def test_the_model_waits_for_a_reader_who_takes_nothing_and_answers_pings_meanwhile(
    address: str, listener: Listener
) -> None:
    async def work() -> None:
        stream = await opened(address, ask(listener, "endless"))
        model = await listener.model()
        model.settimeout(1)
        made = b""
        with contextlib.suppress(TimeoutError):  # it makes no more
            while True:
                made += await asyncio.to_thread(model.recv, 65536)
        assert len(made) * 65536 < 4 * 1024 * 1024
        assert await asyncio.to_thread(probe.answers, address, 60.0)
        model.settimeout(60)

        for _ in range(2 * len(made)):
            assert await stream.part() == b"y" * 65536
        stream.close()

        assert (await heard(model)).endswith(b"closed")

    run(work)


def test_closing_a_stream_closes_the_models_generator_and_the_next_call_is_answered(
    address: str, listener: Listener
) -> None:
    async def work() -> None:
        stream = await opened(address, ask(listener, "endless"))
        model = await listener.model()
        connection = await connect(address, lambda: None)
        behind = asyncio.ensure_future(connection.ask(Request(INVOKE, b"whole", "application/octet-stream")))
        assert await stream.part()
        assert not behind.done()

        stream.close()

        assert (await heard(model)).endswith(b"closed")
        assert await behind == Answer(200, b"all of it", "text/plain")
        assert await stream.part() == b""
        connection.close()

    run(work)


def test_an_error_before_the_first_part_is_an_answer_and_one_after_it_breaks_the_stream(
    address: str, listener: Listener
) -> None:
    async def work() -> None:
        refused = await opened(address, ask(listener, "none"))
        assert refused.head.status == 500
        assert await whole(refused) == b"ValueError: before the first"
        (await listener.model()).close()

        broken = await opened(address, ask(listener, "two"))
        model = await listener.model()
        assert await broken.part() == b"first"
        model.sendall(b"!")
        with pytest.raises(ModelFailed, match="RuntimeError: after the first"):
            await broken.part()
        model.close()

    run(work)


@pytest.mark.parametrize("what", ["dead", "die"])
def test_a_death_suspects_the_stream_that_was_worked_on(address: str, listener: Listener, what: str) -> None:
    async def work() -> None:
        async def heard_to_the_end() -> None:
            stream = await opened(address, ask(listener, what))
            model = await listener.model()
            assert await stream.part() == b"first"
            model.sendall(b".")
            await stream.part()

        with pytest.raises(ReplicaLost) as lost:
            await heard_to_the_end()
        assert lost.value.suspect

    run(work)


def test_nobody_there_suspects_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(ReplicaLost) as lost:
            await opened(f"unix:{tmp_path / 'nobody'}", Request(INVOKE))
        assert not lost.value.suspect

    run(work)


def test_an_answer_without_parts_is_one_and_a_call_without_a_stream_gets_all_parts_at_once(
    address: str, listener: Listener
) -> None:
    async def work() -> None:
        stream = await opened(address, Request(INVOKE, b"whole", "application/octet-stream"))
        assert stream.head == Answer(200, b"", "text/plain")
        assert await whole(stream) == b"all of it"

        connection = await connect(address, lambda: None)
        call = asyncio.ensure_future(connection.ask(ask(listener, "two")))
        model = await listener.model()
        model.sendall(b".")
        assert await call == Answer(200, b"firstsecond", "text/event-stream")
        model.close()
        connection.close()

    run(work)


# Limits of time

PLACE = Place("123456789012", "us-east-1", "Demo")


class Silent(Whole):
    def __init__(self) -> None:
        super().__init__(Answer(200, b"first"))
        self.closed = asyncio.Event()

    async def part(self) -> bytes:
        found = await super().part()
        if not found:
            await self.closed.wait()
        return found

    def close(self) -> None:
        super().close()
        self.closed.set()


@pytest.mark.parametrize(("gap", "whole_time"), [(0.05, 60.0), (60.0, 0.05)])
def test_a_model_that_is_too_slow_for_a_stream_is_told_so_and_stopped(gap: float, whole_time: float) -> None:
    async def work() -> None:
        silent = Silent()
        until = asyncio.get_running_loop().time() + whole_time
        parts = Streamed(silent, PLACE, gap=gap, until=until)
        assert await anext(parts) == b"first"
        with pytest.raises(ServiceError) as refused:
            await anext(parts)
        assert (refused.value.code, refused.value.members) == (
            "ModelStreamError",
            {"ErrorCode": "ModelInvocationTimeExceeded"},
        )
        assert silent.closed.is_set()

    run(work)


def test_a_stream_that_nobody_reads_is_closed_at_its_end_of_time_all_the_same() -> None:
    async def work() -> None:
        silent = Silent()
        parts = Streamed(silent, PLACE, gap=60, until=asyncio.get_running_loop().time() + 0.05)
        await silent.closed.wait()
        with pytest.raises(ServiceError):
            await anext(parts)

    run(work)


def test_a_stream_that_was_never_read_can_be_closed() -> None:
    async def work() -> None:
        silent = Silent()
        await Streamed(silent, PLACE, gap=60, until=asyncio.get_running_loop().time() + 60).aclose()
        assert silent.closed.is_set()

    run(work)
