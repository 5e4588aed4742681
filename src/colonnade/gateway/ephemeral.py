"""What `--ephemeral` offers other people's test suites: `POST /_colonnade/reset` and `/_colonnade/clock`.

    curl -X POST localhost:4566/_colonnade/reset
    curl -X POST localhost:4566/_colonnade/clock -d '{"advance": 3600}'

Nobody signs these, so they are `nearby` only, and a server that keeps anything does not have them. `app.py` provides the
`Ephemeral` that they use.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from colonnade.executors import Executor
from colonnade.gateway.exchange import Response
from colonnade.gateway.nearby import nearby
from colonnade.gateway.own import OwnRequest, json_response, own
from colonnade.kernel.clock import Clock, ManualClock
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import subject_of
from colonnade.objects import ObjectStore
from colonnade.serving.snapshot import endpoint_key
from colonnade.timeseries.database import Timeseries

if TYPE_CHECKING:
    from colonnade.kernel.reconcile.driver import Driver
    from colonnade.kernel.store.memory import MemoryStore


class Ephemeral:
    """A server whose whole state can be thrown away while it runs."""

    def __init__(self, platform: Platform, store: MemoryStore, driver: Driver, *, logs: Path) -> None:
        self._platform = platform
        self._store = store
        self._driver = driver
        self._logs = logs
        self._one_at_a_time = threading.Lock()

    def reset(self) -> None:
        """As if newly started, when it returns: nothing of what was there runs, is served or is found. The root keys stay, and
        so do compiled models, which nobody sees: they go by the digest of what they were made from."""
        with self._one_at_a_time, self._driver.paused():
            executor = self._platform.the(Executor)
            for work in executor.known():
                executor.forget(work)
            with self._store.read() as reader:
                served = [endpoint_key(row.key) for row in reader.scan_types("sagemaker", "route")]
            self._store.clear()
            for endpoint in served:
                self._publish("routes", subject_of(endpoint))
            self._publish("identity", "")
            self._platform.the(ObjectStore).sweep((), older_than=math.inf)
            self._platform.the(Timeseries).clear()
            shutil.rmtree(self._logs, ignore_errors=True)
            clock = self._platform.clock
            if isinstance(clock, ManualClock):
                clock.restart()

    def move_clock(self, move: Callable[[ManualClock], float]) -> float:
        """Raises LookupError where the clock is the system's, ValueError for a time that cannot be."""
        clock = self._platform.clock
        if not isinstance(clock, ManualClock):
            raise LookupError("the clock is the system's: start with --ephemeral --clock manual to move it")
        now = move(clock)
        self._publish("clock", "")
        return now

    def _publish(self, topic: str, subject: str) -> None:
        for refusal in self._platform.signals.publish(topic, subject):
            raise RuntimeError(f"{topic} {subject}: {refusal.process} could not take it in: {refusal.reason}")


@own("POST", "/_colonnade/reset")
@nearby
async def reset(request: OwnRequest) -> Response:
    if not request.platform.has(Ephemeral):
        return _kept(request)
    await asyncio.to_thread(request.platform.the(Ephemeral).reset)
    return json_response({"status": "reset"})


@own("GET", "/_colonnade/clock")
@nearby
async def read_clock(request: OwnRequest) -> Response:
    if not request.platform.has(Ephemeral):
        return _kept(request)
    return json_response(_told(request.platform.clock))


@own("POST", "/_colonnade/clock")
@nearby
async def set_clock(request: OwnRequest) -> Response:
    """`{"advance": seconds}` or `{"to": epoch seconds}`; answers when every reconciler has been told."""
    if not request.platform.has(Ephemeral):
        return _kept(request)
    try:
        move = _move(request.body)
        await asyncio.to_thread(request.platform.the(Ephemeral).move_clock, move)
    except LookupError as error:
        return json_response({"message": str(error)}, 409)
    except ValueError as error:
        return json_response({"message": str(error)}, 400)
    return json_response(_told(request.platform.clock))


def _move(body: bytes) -> Callable[[ManualClock], float]:
    """Raises ValueError."""
    wanted = 'want {"advance": seconds} or {"to": epoch seconds}'
    try:
        asked = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"{wanted}: {error}") from None
    match asked:
        case {"advance": int() | float() as seconds, **rest} if not rest and not isinstance(seconds, bool):
            return lambda clock: clock.advance(seconds)
        case {"to": int() | float() as instant, **rest} if not rest and not isinstance(instant, bool):
            return lambda clock: clock.advance_to(instant)
    raise ValueError(f"{wanted}, not {body[:200].decode('utf-8', 'replace')!r}")


def _told(clock: Clock) -> dict[str, Any]:
    return {"now": clock.now(), "clock": "manual" if isinstance(clock, ManualClock) else "system"}


def _kept(request: OwnRequest) -> Response:
    return json_response(
        {"message": f"this server keeps what it has: {request.path} needs `colonnade up --ephemeral`"}, 404
    )
