"""People of another year, sent to the endpoint one by one; who answered them, how fast, and how well."""

import functools
import gzip
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .measures import three_sigma
from .place import CALLERS, Place


@dataclass(frozen=True)
class Row:
    label: int
    features: str
    """A line of CSV, as the endpoint takes it."""


@dataclass(frozen=True)
class Answer:
    variant: str
    label: int
    score: float
    milliseconds: float


class Checks:
    """What has to hold, said aloud; the exit status remembers."""

    def __init__(self) -> None:
        self.failed = 0

    def __call__(self, statement: str, holds: bool) -> None:
        print(f"  {'ok' if holds else 'FAILED':<6}  {statement}", flush=True)
        self.failed += not holds


def read_rows(path: Path) -> list[Row]:
    with gzip.open(path, "rt") as file:
        pairs = (line.rstrip("\n").split(",", 1) for line in file)
        return [Row(int(label), features) for label, features in pairs]


def ask(place: Place, endpoint: str, people: Sequence[Row], pinned: str | None = None) -> list[Answer]:
    """One InvokeEndpoint for each row, from several callers at once."""
    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(
            callers.map(functools.partial(ask_once, place.runtime, endpoint, pinned=pinned), people)
        )
    seconds = time.monotonic() - began
    aim = f"pinned to {pinned}" if pinned else "by weight"
    print(
        f"  {len(answers):,} calls {aim} in {seconds:.1f} s, {len(answers) / seconds:,.0f} a second",
        flush=True,
    )
    return answers


def ask_once(runtime: Any, endpoint: str, row: Row, pinned: str | None) -> Answer:
    target = {"TargetVariant": pinned} if pinned else {}
    began = time.perf_counter()
    response = runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="text/csv", Body=row.features, **target
    )
    score = float(response["Body"].read())
    milliseconds = (time.perf_counter() - began) * 1000
    return Answer(response["InvokedProductionVariant"], row.label, score, milliseconds)


def ask_each_variant(place: Place, endpoint: str, people: Sequence[Row], checks: Checks) -> list[Answer]:
    answers = []
    for variant in ("Model-A", "Model-B"):
        found = ask(place, endpoint, people, pinned=variant)
        checks(
            f"all {len(found)} calls pinned to {variant} were answered by it",
            {a.variant for a in found} == {variant},
        )
        answers += found
    return answers


def check_split(checks: Checks, answers: Sequence[Answer], shares: dict[str, float]) -> None:
    """Each call draws its variant by chance: counts are right within three standard deviations, 997 times in 1000."""
    counts = Counter(answer.variant for answer in answers)
    checks(
        f"every one of {len(answers):,} answers names its variant: {dict(counts)}", set(counts) == set(shares)
    )
    for variant, share in shares.items():
        least, most = three_sigma(len(answers), share)
        checks(
            f"{variant} answered {counts[variant]}, of {share:.0%} expected {least} to {most}",
            least <= counts[variant] <= most,
        )


def labels_and_scores(answers: Sequence[Answer], variant: str) -> tuple[list[int], list[float]]:
    own = [answer for answer in answers if answer.variant == variant]
    return [answer.label for answer in own], [answer.score for answer in own]
