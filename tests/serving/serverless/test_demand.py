"""From calls to processes: what was asked for at a time within the idle time-out, within the variant's bounds."""

from __future__ import annotations

from colonnade.kernel.clock import ManualClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store import Key
from colonnade.kernel.store.memory import MemoryStore
from colonnade.serving.serverless.demand import Demand

ENDPOINT = Key("aws", "123456789012", "us-east-1", "sagemaker", "Endpoint", "e")


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(time: Time) -> tuple[Demand, list[str]]:
    signals, woken = LocalSignals(), list[str]()
    signals.subscribe("reconcile", woken.append)
    platform = Platform(store=MemoryStore(), clock=ManualClock(), ids=SeededIds(), signals=signals)
    return Demand(platform, 10, time), woken


def wanted(demand: Demand, *, least: int = 0, most: int = 5, standing: int = 0) -> int:
    return demand.wanted(ENDPOINT, "A", least=least, most=most, standing=standing)


def test_the_calls_of_all_workers_add_up_and_go_with_the_idle_time_out() -> None:
    time = Time()
    demand, woken = made(time)
    demand.note(ENDPOINT, "A", "w1", 2)
    demand.note(ENDPOINT, "A", "w2", 1)
    assert (wanted(demand), wanted(demand, most=2), len(woken)) == (3, 2, 2)
    time.now += 11
    assert (wanted(demand), wanted(demand, least=1)) == (0, 1)


def test_after_a_rest_the_first_call_wakes_the_reconciler_again() -> None:
    time = Time()
    demand, woken = made(time)
    demand.note(ENDPOINT, "A", "w1", 3)
    time.now += 11
    demand.note(ENDPOINT, "A", "w1", 1)
    assert (wanted(demand), len(woken)) == (1, 2)


def test_the_peak_goes_before_the_calls_after_it() -> None:
    time = Time()
    demand, _ = made(time)
    demand.note(ENDPOINT, "A", "w1", 4)
    time.now += 6
    demand.note(ENDPOINT, "A", "w1", 1)
    assert wanted(demand) == 4
    time.now += 6
    assert wanted(demand) == 1


def test_a_leader_that_has_just_begun_keeps_what_stands() -> None:
    time = Time()
    demand, _ = made(time)
    assert wanted(demand, standing=3) == 3
    time.now += 11
    assert wanted(demand, standing=3) == 0
