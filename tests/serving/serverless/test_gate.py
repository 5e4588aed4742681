"""A gate lets so many calls through, counts those of other processes, and tells of the demand."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from colonnade.serving.serverless.gate import Gate

OTHER = """
import asyncio, sys
from pathlib import Path
from colonnade.serving.serverless.gate import Gate

async def hold():
    gate = Gate(3, Path(sys.argv[1]), lambda calls: None)
    print([gate.enter() is not None for _ in range(2)], flush=True)
    await asyncio.sleep(600)

asyncio.run(hold())
"""


def test_no_more_than_its_limit_go_through_at_a_time() -> None:
    async def calls() -> list[bool]:
        gate = Gate(2, None, lambda calls: None)
        first, second, third = gate.enter(), gate.enter(), gate.enter()
        assert first is not None
        gate.leave(first)
        found = [second is not None, third is not None, gate.enter() is not None]
        gate.close()
        return found

    assert asyncio.run(calls()) == [True, False, True]


def test_the_places_of_another_process_count_until_it_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "gate"
    other = subprocess.Popen([sys.executable, "-c", OTHER, str(place)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "[True, True]\n"

    async def entered() -> int:
        gate = Gate(3, place, lambda calls: None)
        places = [gate.enter() for _ in range(4)]
        gate.close()
        return sum(each is not None for each in places)

    assert asyncio.run(entered()) == 1
    other.kill()
    other.wait()
    other.stdout.close()
    assert asyncio.run(entered()) == 3


def test_more_calls_are_told_at_once_and_fewer_are_not() -> None:
    told: list[int] = []

    async def calls() -> None:
        gate = Gate(5, None, told.append)
        first = gate.enter()
        assert first is not None
        gate.enter()
        gate.leave(first)
        gate.enter()
        gate.close()

    asyncio.run(calls())
    assert told == [1, 2]
