"""Instances that answer worse than the others: asked less, put out for a while, and taken back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from colonnade.serving.outliers import Outliers


class Stage:
    def __init__(self, *names: str) -> None:
        self.now = 1000.0
        self.instances: list[Any] = [SimpleNamespace(name=name) for name in names]
        self.outliers = Outliers(clock=lambda: self.now)

    def answers(self, name: str, *statuses: int, seconds: float = 0.01) -> None:
        for status in statuses:
            self.outliers.saw(name, status, seconds)

    @property
    def admitted(self) -> str:
        return "".join(instance.name for instance in self.outliers.admitted(self.instances))


def test_one_that_fails_again_and_again_is_out_for_a_while_while_others_do_well() -> None:
    stage = Stage("a", "b", "c")
    stage.answers("a", 200, 200)
    stage.answers("b", *[500] * 4)
    assert stage.admitted == "abc"

    stage.answers("b", 500)
    assert stage.admitted == "ac"
    stage.now += 9
    assert stage.admitted == "ac"
    stage.now += 2
    assert stage.admitted == "abc"


def test_the_next_time_it_is_out_for_longer_and_an_hour_never_comes_together() -> None:
    stage = Stage("a", "b")
    stage.answers("a", 200)
    stage.answers("b", *[500] * 5)
    out = []
    for _ in range(5):
        began = stage.now
        while stage.admitted == "a":
            stage.now += 1
        out.append(stage.now - began)
        stage.answers("b", 503)

    assert out == [10, 20, 40, 60, 60]


def test_a_good_answer_clears_its_record() -> None:
    stage = Stage("a", "b")
    stage.answers("a", 200)
    stage.answers("b", 500, 500, 500, 500, 200, 500, 500, 500, 500, 404, 500)

    assert stage.admitted == "ab"


def test_where_all_fail_nobody_is_put_out() -> None:
    stage = Stage("a", "b")
    for _ in range(20):
        stage.answers("a", 500)
        stage.answers("b", 500)

    assert stage.admitted == "ab"


def test_at_least_half_are_asked_and_never_nobody() -> None:
    stage = Stage("a", "b", "c", "d")
    stage.answers("a", 200)
    for name in "bc":
        stage.answers(name, *[500] * 5)
    assert stage.admitted == "ad"

    stage.answers("d", *[500] * 5)
    assert stage.admitted == "abcd"
    stage.instances = stage.instances[1:2]
    assert stage.admitted == "b"


@pytest.mark.parametrize(
    ("seconds", "burden"), [(0.010, 0), (0.025, 0), (0.100, 1)], ids=["alike", "unnoticed", "slow"]
)
def test_one_that_is_far_slower_than_the_others_counts_as_busier(seconds: float, burden: int) -> None:
    stage = Stage("a", "b")
    for _ in range(20):
        stage.answers("a", 200, seconds=0.010)
        stage.answers("b", 200, seconds=seconds)

    assert (stage.outliers.burden("a"), stage.outliers.burden("b")) == (0, burden)


def test_a_slow_one_is_tried_again_after_a_while_and_forgiven_when_it_is_fast() -> None:
    stage = Stage("a", "b")
    for _ in range(20):
        stage.answers("a", 200)
        stage.answers("b", 200, seconds=1.0)
    assert stage.outliers.burden("b") == 1
    stage.now += 11
    assert stage.outliers.burden("b") == 0

    for _ in range(40):
        stage.answers("a", 200)
        stage.answers("b", 200)
    assert stage.outliers.burden("b") == 0
