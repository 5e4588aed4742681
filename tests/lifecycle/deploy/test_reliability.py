"""One bad replica among good ones, as real processes: each story counts the calls that failed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import Any

import pytest

from .conftest import Bench, as_json, until

MOODY = """
import os, signal, time

mood = {"broken": False, "slow": False}
signal.signal(signal.SIGUSR1, lambda *_: mood.update(broken=True))
signal.signal(signal.SIGUSR2, lambda *_: mood.update(slow=True))

def model_fn(model_dir): return 1
def input_fn(body, content_type): return body
def predict_fn(data, model):
    if mood["broken"]: raise RuntimeError("out of sorts")
    if mood["slow"]: time.sleep(2)
    return os.getpid()
"""


@pytest.fixture
def pids(bench: Bench) -> list[int]:
    """Of three replicas behind one endpoint."""
    bench.script_model("moody", MOODY)
    bench.config("moody", {"ModelName": "moody", "InitialInstanceCount": 3})
    bench.endpoint("moody", "moody")
    bench.settled("moody")
    found: set[int] = set()
    until(lambda: found.add(asked(bench)) or len(found) == 3, "all three have answered")
    return sorted(found)


def asked(bench: Bench) -> int:
    return int(as_json(bench.invoke("moody", b"x", Accept="application/json")))


def ask(bench: Bench, times: int, at_once: int = 1) -> tuple[Counter[int], int]:
    """Who answered how often, and how many calls failed."""

    async def calls() -> tuple[Counter[int], int]:
        seen, failed = Counter[int](), 0
        for _ in range(times // at_once):
            several = (bench.ask("moody", b"x", Accept="application/json") for _ in range(at_once))
            for result in await asyncio.gather(*several, return_exceptions=True):
                if isinstance(result, BaseException):
                    failed += 1
                else:
                    seen[int(as_json(result))] += 1
        return seen, failed

    found: tuple[Counter[int], int] = bench.on_loop(calls())
    return found


def test_a_stopped_replica_holds_up_one_call_and_no_other(bench: Bench, pids: list[int]) -> None:
    os.kill(pids[0], signal.SIGSTOP)

    async def calls() -> tuple[Any, list[int]]:
        """One for each replica: two are answered, the third hangs until the replica goes on."""
        under_way = {
            asyncio.ensure_future(bench.ask("moody", b"x", Accept="application/json")) for _ in range(3)
        }
        answered: list[int] = []
        while len(under_way) > 1:
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            answered += [int(as_json(call.result())) for call in done]
        for _ in range(200):
            answered.append(int(as_json(await bench.ask("moody", b"x", Accept="application/json"))))
        os.kill(pids[0], signal.SIGCONT)
        return await under_way.pop(), answered

    held_up, answered = bench.on_loop(calls())

    print(f"0 of {len(answered) + 1} calls failed, 1 was held up")
    assert int(as_json(held_up)) == pids[0]
    assert pids[0] not in answered


def test_a_replica_that_only_fails_is_left_out(bench: Bench, pids: list[int]) -> None:
    os.kill(pids[0], signal.SIGUSR1)

    seen, failed = ask(bench, 300)

    print(f"{failed} of 300 calls failed: {seen}")
    # Five until it is left out, one each time that it is tried again; a third of all if nobody looked.
    assert 1 <= failed <= 30
    assert min(seen[pid] for pid in pids[1:]) > 50


def test_a_slow_replica_is_asked_seldom(bench: Bench, pids: list[int]) -> None:
    ask(bench, 30)
    os.kill(pids[0], signal.SIGUSR2)

    seen, failed = ask(bench, 300)

    print(f"{failed} of 300 calls failed: {seen}")
    assert failed == 0
    assert seen[pids[0]] < 50


def test_where_all_replicas_fail_all_are_asked_and_callers_are_told(bench: Bench, pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)

    seen, failed = ask(bench, 60, at_once=6)

    print(f"{failed} of 60 calls failed, as they must: {seen}")
    assert failed == 60
    assert bench.describe("moody")["EndpointStatus"] == "InService"
