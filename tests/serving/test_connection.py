"""A worker's end of one replica, against replicas that go at the worst moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from colonnade.serving.connection import ReplicaLost, connect
from colonnade.serving.frames import INVOKE, Answer, Request, pack_answer

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def request(body: bytes) -> Request:
    return Request(INVOKE, body, "text/csv", "text/csv")


@pytest.mark.parametrize("new_loop", LOOPS)
def test_an_answer_given_before_the_end_counts_even_when_the_next_write_finds_nobody(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    async def ask() -> list[Answer | BaseException]:
        connection = await connect(f"unix:{tmp_path / 's'}", lambda: None)
        replica, _ = listener.accept()
        first = asyncio.ensure_future(connection.ask(request(b"x")))
        await asyncio.sleep(0)
        # From here to the next write the loop does not run, so it cannot read the answer before the write fails.
        replica.sendall(pack_answer(Answer(200, b"1")))
        replica.close()
        return await asyncio.gather(first, connection.ask(request(b"y")), return_exceptions=True)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        first, second = runner.run(ask())
    listener.close()

    assert first == Answer(200, b"1")
    assert isinstance(second, ReplicaLost)
    assert second.suspect
