"""What a worker cannot get answered in time it refuses at once, with real sockets between it and a replica that takes its time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.store import Key
from colonnade.serving.faults import Place
from colonnade.serving.frames import Answer, Request
from colonnade.serving.instances import Replica
from colonnade.serving.replica.server import Server, listen
from colonnade.serving.router import Invocation, Router
from colonnade.serving.routes import Container, Route, Variant

KEY = Key("aws", "123456789012", "us-east-1", "sagemaker", "Endpoint", "demo")
PLACE = Place("123456789012", "us-east-1", "Demo")
QUEUE = 4


@dataclass
class Slow:
    """A replica process's loop, in a thread of this one: its model answers when it is let go."""

    address: str
    go: threading.Event = field(default_factory=threading.Event)
    answered: int = 0

    def handle(self, request: Request) -> Answer:
        assert self.go.wait(60)
        self.answered += 1
        return Answer(200, b"1", "text/csv")


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    model = Slow(str(tmp_path / "replica.sock"))
    server = Server(listen(model.address), model.handle)
    # The signals are the process's own, which a thread cannot take.
    monkeypatch.setattr("signal.set_wakeup_fd", lambda fd: fd)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield model
    model.go.set()


def served(replica: Replica) -> Router:
    router = Router(queue=QUEUE)
    router.install(KEY, Route(PLACE, 1, [Variant("a", 1, [Container("primary", [replica])])]))
    return router


def test_calls_beyond_the_queue_are_refused_at_once_and_those_in_it_are_answered(slow: Slow) -> None:
    async def calls() -> list[object]:
        replica = Replica(f"unix:{slow.address}", lambda: None, lambda: None)
        await asyncio.wait_for(connected(replica, slow), 60)
        slow.go.clear()
        router = served(replica)
        asked = [asyncio.ensure_future(router.invoke(KEY, Invocation(b"1"))) for _ in range(10)]
        refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        while len(refused) < 10 - QUEUE:
            more, _ = await asyncio.wait(
                set(asked) - refused, return_when=asyncio.FIRST_COMPLETED, timeout=60
            )
            refused |= more
        assert slow.answered == 0, "nobody waited for the model to be refused"
        slow.go.set()
        found = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)
        replica.drain()
        return found

    found = asyncio.run(calls())

    refusals = [each for each in found if isinstance(each, ServiceError)]
    assert [(each.code, each.status) for each in refusals] == [("ServiceUnavailable", 503)] * (10 - QUEUE)
    assert "Variant a of endpoint Demo has 4 calls waiting" in str(refusals[0])
    assert slow.answered == QUEUE


async def connected(replica: Replica, slow: Slow) -> None:
    slow.go.set()
    await replica.open()


def test_no_more_than_the_queue_wait_for_an_instance_to_come() -> None:
    async def calls() -> list[object]:
        router = Router(queue=QUEUE, deadline=60)
        router.install(KEY, Route(PLACE, 1, [Variant("a", 1, [Container("primary", [])])]))
        asked = [asyncio.ensure_future(router.invoke(KEY, Invocation(b"1"))) for _ in range(7)]
        refused: set[asyncio.Future[object]] = set()
        while len(refused) < 7 - QUEUE:
            more, _ = await asyncio.wait(
                set(asked) - refused, return_when=asyncio.FIRST_COMPLETED, timeout=60
            )
            refused |= more
        router.remove(KEY)
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)

    codes = [each.code for each in asyncio.run(calls()) if isinstance(each, ServiceError)]

    assert sorted(codes) == ["ServiceUnavailable"] * (7 - QUEUE) + ["ValidationError"] * QUEUE
