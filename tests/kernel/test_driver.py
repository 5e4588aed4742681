"""The driver calls reconcilers when it should, one at a time for each key, and survives what they raise."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from colonnade.kernel import reconcile
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import Again, Done, Failed, Outcome, wake
from colonnade.kernel.reconcile.driver import Driver
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store import Conflict, Key
from colonnade.kernel.store.memory import MemoryStore
from colonnade.kernel.store.sqlite import SqliteStore

Behaviour = Callable[[Key], Outcome]
DEADLINE = 30


class Bench:
    """A driver over a reconciler that tests script."""

    def __init__(self) -> None:
        self.platform = Platform(
            store=MemoryStore(), clock=SystemClock(), ids=SeededIds(), signals=LocalSignals()
        )
        self.calls: list[str] = []
        self.failures: dict[str, str] = {}
        self.behaviour: Behaviour = lambda _: Done()
        self.called = threading.Semaphore(0)
        self.failed = threading.Semaphore(0)
        self.driver = Driver(self.platform, threads=4, resync_seconds=0.05)

    def reconcile(self, _: Platform, key: Key) -> Outcome:
        self.calls.append(key.name)
        try:
            return self.behaviour(key)
        finally:
            self.called.release()

    def fail(self, _: Platform, key: Key, reason: str) -> None:
        self.failures[key.name] = reason
        self.failed.release()

    def put(self, name: str, *, active: bool) -> Key:
        key = Key("aws", "1", "r", "test", "Thing", name)
        with self.platform.store.write() as transaction:
            transaction.put(key, {}, at=1.0, active=active)
        return key

    def wait_for_calls(self, count: int) -> None:
        for _ in range(count):
            assert self.called.acquire(timeout=DEADLINE), f"calls so far: {self.calls}"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(reconcile, "_registered", {})
    bench = Bench()
    reconcile.reconciler("test", "Thing", fail=bench.fail)(bench.reconcile)
    yield bench
    bench.driver.stop()


def test_an_active_row_is_found_at_start_without_a_signal(bench: Bench) -> None:
    bench.put("left-behind", active=True)
    bench.put("settled", active=False)
    bench.behaviour = lambda _: Again(3600)
    bench.driver.start()
    bench.wait_for_calls(1)
    assert set(bench.calls) == {"left-behind"}


def test_a_signal_wakes_a_reconciler_that_waits_for_later(bench: Bench) -> None:
    key = bench.put("waiting", active=True)
    bench.behaviour = lambda _: Again(3600)
    bench.driver.start()
    bench.wait_for_calls(1)
    wake(bench.platform, key)
    bench.wait_for_calls(1)


def test_again_is_called_again_and_done_is_not_until_the_next_signal(bench: Bench) -> None:
    outcomes = iter([Again(0.0), Again(0.01), Done(), Done()])
    key = bench.put("stepwise", active=False)
    bench.behaviour = lambda _: next(outcomes)
    bench.driver.start()
    wake(bench.platform, key)
    bench.wait_for_calls(3)
    assert not bench.called.acquire(timeout=0.2)
    wake(bench.platform, key)
    bench.wait_for_calls(1)


def test_a_failure_reaches_the_types_fail_with_its_reason(bench: Bench) -> None:
    key = bench.put("hopeless", active=False)
    bench.behaviour = lambda _: Failed("no such image")
    bench.driver.start()
    wake(bench.platform, key)
    assert bench.failed.acquire(timeout=DEADLINE)
    assert bench.failures == {"hopeless": "no such image"}


@pytest.mark.parametrize("error", [RuntimeError("a bug"), Conflict(Key(*"abcdef"), 1, 2)])
def test_an_exception_is_retried_and_does_not_end_the_others(bench: Bench, error: Exception) -> None:
    raised = iter([error])

    def behave(key: Key) -> Outcome:
        if key.name == "faulty" and (first := next(raised, None)):
            raise first
        return Done()

    bench.behaviour = behave
    bench.driver.start()
    wake(bench.platform, bench.put("faulty", active=False))
    wake(bench.platform, bench.put("sound", active=False))
    bench.wait_for_calls(3)
    assert sorted(bench.calls) == ["faulty", "faulty", "sound"]


def test_one_key_is_never_reconciled_twice_at_once_and_a_wake_meanwhile_is_not_lost(bench: Bench) -> None:
    inside, running, most = threading.Lock(), 0, 0
    first_is_in, go_on = threading.Event(), threading.Event()

    def behave(_: Key) -> Outcome:
        nonlocal running, most
        with inside:
            running += 1
            most = max(most, running)
        first_is_in.set()
        assert go_on.wait(DEADLINE)
        with inside:
            running -= 1
        return Done()

    bench.behaviour = behave
    key = bench.put("busy", active=False)
    bench.driver.start()
    wake(bench.platform, key)
    assert first_is_in.wait(DEADLINE)
    for _ in range(5):
        wake(bench.platform, key)
    go_on.set()
    bench.wait_for_calls(2)
    assert most == 1


def test_a_row_that_the_disk_has_changed_keeps_nobody_of_another_type_waiting(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"
    with closing(SqliteStore(path)) as store:
        bench.platform.store = store
        reconcile.reconciler("test", "Another", fail=bench.fail)(bench.reconcile)
        with store.write() as transaction:
            transaction.put(Key("aws", "1", "r", "test", "Another", "damaged"), {}, at=1.0, active=True)
        with closing(sqlite3.connect(path)) as disk, disk:
            disk.execute("UPDATE documents SET version = 7")
        bench.put("sound", active=True)
        bench.behaviour = lambda _: Again(3600)

        bench.driver.start()

        bench.wait_for_calls(1)
        assert bench.calls == ["sound"]
        bench.driver.stop()
