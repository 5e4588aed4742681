"""What routers count, as the metrics that SageMaker publishes of endpoints."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from colonnade.kernel.clock import ManualClock
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.store import Key
from colonnade.serving.faults import Place
from colonnade.serving.frames import Answer, Request
from colonnade.serving.published import Publisher
from colonnade.serving.router import Invocation, Router
from colonnade.serving.routes import Container, Route, Variant
from colonnade.statistics.sketch import Sketch
from colonnade.timeseries.database import Timeseries

KEY = Key("aws", "1", "us-east-1", "sagemaker", "Endpoint", "demo")
VARIANT = (("EndpointName", "demo"), ("VariantName", "blue"))


class Fake:
    alive, outstanding = True, 0

    async def ask(self, request: Request) -> Answer:
        return Answer(int(request.body), b"", "text/csv")

    def drain(self) -> None:
        pass


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Timeseries]:
    made = Timeseries(tmp_path / "metrics.db")
    yield made
    made.close()


def router_of(containers: int = 1) -> Router:
    router = Router(seed=1)
    made = [Container(f"c{number}", [Fake()]) for number in range(containers)]
    router.install(KEY, Route(Place("1", "us-east-1", "demo"), 1, [Variant("blue", 1.0, made)]))
    return router


def called(router: Router, *statuses: int) -> None:
    async def calls() -> None:
        for status in statuses:
            try:
                await router.invoke(KEY, Invocation(str(status).encode(), "text/csv"))
            except ServiceError:
                assert status >= 300

    asyncio.run(calls())


def metric(storage: Timeseries, name: str, dimensions: Any = VARIANT) -> Sketch:
    (series,) = storage.find("1", "us-east-1", namespace="AWS/SageMaker", name=name, dimensions=dimensions)
    (point,) = storage.read(series, 0, 2**40)
    return point.values


def test_calls_errors_and_latencies_of_all_workers_are_the_minutes_metrics(storage: Timeseries) -> None:
    clock = ManualClock(600.0)
    workers = [router_of(), router_of()]
    publishers = [Publisher(router, storage, clock) for router in workers]
    called(workers[0], 200, 200, 404)
    called(workers[1], 200, 500, 503, 200)

    clock.advance(20)
    for publisher in publishers:
        publisher.stop()

    assert (metric(storage, "Invocations").sum, metric(storage, "Invocations").count) == (7, 7)
    assert (metric(storage, "Invocation4XXErrors").sum, metric(storage, "Invocation4XXErrors").count) == (
        1,
        7,
    )
    assert metric(storage, "Invocation5XXErrors").sum == 2
    assert metric(storage, "InvocationModelErrors").mean == pytest.approx(3 / 7)
    latency = metric(storage, "ModelLatency")
    assert latency.count == 7
    assert 0 < latency.minimum <= (latency.quantile(0.5) or 0) <= latency.maximum < 60e6


def test_containers_of_a_pipeline_have_latencies_of_their_own(storage: Timeseries) -> None:
    router = router_of(containers=2)
    publisher = Publisher(router, storage, ManualClock(600.0))

    async def call() -> None:
        with pytest.raises(ServiceError):  # the second container is asked with an empty body
            await router.invoke(KEY, Invocation(b"404"))

    asyncio.run(call())
    publisher.stop()

    own = tuple(sorted((*VARIANT, ("ContainerName", "c0"))))
    assert metric(storage, "ContainerLatency", own).count == 1
    assert metric(storage, "ContainerLatency", own).sum <= metric(storage, "ModelLatency").sum


def test_nothing_is_counted_twice_and_a_call_under_way_is_not_lost(storage: Timeseries) -> None:
    router = router_of()
    clock = ManualClock(600.0)
    publisher = Publisher(router, storage, clock)

    class Slow(Fake):
        async def ask(self, request: Request) -> Answer:
            publisher.publish(router.take_counters())
            return Answer(200, b"", "text/csv")

    called(router, 200)
    slow = Variant("blue", 1.0, [Container("c0", [Slow()])])
    router.install(KEY, Route(Place("1", "us-east-1", "demo"), 2, [slow]))
    called(router, 200)
    publisher.stop()

    assert metric(storage, "Invocations").sum == 2
    assert router.totals()[KEY, "blue"].invocations == 2


def test_what_the_storage_refuses_is_kept_for_the_next_time(
    storage: Timeseries, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = router_of()
    publisher = Publisher(router, storage, ManualClock(600.0))
    called(router, 200)

    def full(data: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "put", full)
        publisher.publish(router.take_counters())
    called(router, 200)
    publisher.stop()

    assert metric(storage, "Invocations").sum == 2


def test_an_idle_worker_opens_no_storage(tmp_path: Path) -> None:
    publisher = Publisher(router_of(), Timeseries(tmp_path / "metrics.db"), ManualClock(600.0))

    publisher.stop()

    assert list(tmp_path.iterdir()) == []
