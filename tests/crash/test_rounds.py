"""kill -9 again and again, at moments that a seed chooses, while users work; after each restart all must hold."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from colonnade.testing.server import Server, running
from crash import killing, truth
from crash.world import World
from journeys.team import Team

ROUNDS = 5
pytestmark = pytest.mark.timeout(900)
"""A minute on an idle machine of two cores; each restart waits for whatever else the machine does."""


def test_what_was_acknowledged_survives_any_kill(tmp_path: Path) -> None:
    play(tmp_path / "data", seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_what_was_acknowledged_survives_fifty_more(tmp_path: Path, seed: int) -> None:
    play(tmp_path / "data", seed)


def play(data: Path, seed: int) -> None:
    draw = random.Random(seed)
    killed: set[str] = set()
    world: World | None = None
    for number in range(ROUNDS + 1):
        with running(data) as server:
            if world is None:
                world = World(Team(server).prepare(), draw).settle()
            else:
                world.meet(server)
                check(world, killed, f"seed {seed}, round {number}")
            if number < ROUNDS:
                killed = disturb(world, server, draw, runners=number % 2 == 1)


def disturb(world: World, server: Server, draw: random.Random, *, runners: bool) -> set[str]:
    """Users work; a part of the server dies, and before long all of it."""
    with world.busy():
        moment(draw)
        part = killing.kill_a_part(server, draw)
        moment(draw)
        killed = killing.kill_all(server, draw, runners=runners)
    print(f"killed {part}, then everything, with the runners of {sorted(killed) or 'none'}")
    return killed


def check(world: World, killed: set[str], where: str) -> None:
    try:
        truth.objects_are_whole(world)
        ends = truth.jobs_end_honestly(world, killed)
        truth.endpoints_serve_again(world)
        truth.nothing_is_stuck(world)
        truth.every_process_belongs_to_somebody(world)
        truth.no_blob_is_orphaned(world)
    except BaseException as error:
        error.add_note(f"in {where}; run it again with the same seed")
        raise
    print(f"{where}: {len(world.ledger.acknowledged)} keys, jobs {ends}")


def moment(draw: random.Random) -> None:
    """Not a wait for something, but the arbitrary moment that this is about."""
    threading.Event().wait(draw.uniform(0.0, 1.2))
