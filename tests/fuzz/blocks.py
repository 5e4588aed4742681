"""Cases in blocks: a block has a platform of its own, so that (seed, block, case) is all that it takes to see one again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from .corpus import real
from .mutations import bent
from .stage import Request, Stage
from .verdict import wrong

SIZE = 1000


def cases(seed: int, block: int, size: int = SIZE) -> Iterator[Request]:
    chance = random.Random(f"{seed}:{block}")
    yield Request("s3", "PUT", "/bucket-1")
    yield Request(
        "s3", "PUT", "/bucket-1/key-1", {"x-amz-meta-a": "b", "Content-Type": "text/csv"}, b"1,2\n" * 9
    )
    originals = [
        real(chance) for _ in range(size // 10)
    ]  # each is bent ten times: writing them takes longest
    for _ in range(size - 2):
        original = chance.choice(originals)
        yield bent(chance, replace(original, headers=dict(original.headers)))


def run(seed: int, block: int, size: int = SIZE, *, timed: bool = True) -> Iterator[tuple[int, Request, str]]:
    """The cases that went wrong: number, request, how."""
    with TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        try:
            for number, request in enumerate(cases(seed, block, size)):
                try:
                    problem = wrong(stage.ask(request), timed=timed)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
                    problem = f"{type(error).__name__}: {error}"
                if problem is not None:
                    yield number, request, problem
        finally:
            stage.close()
