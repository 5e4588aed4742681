"""Sketches: exact totals, quantiles within one percent, and sums of sketches that are sketches of the sums."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.statistics.sketch import ERROR, Sketch, pack, unpack

NUMBERS = st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-9)


def sketch_of(values: list[float]) -> Sketch:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.integers(0, 100))
def test_a_quantile_is_within_one_percent_of_the_value_of_that_rank(
    values: list[float], percent: int
) -> None:
    found = sketch_of(values).quantile(percent / 100)

    true = sorted(values)[max(ceil(percent * len(values) / 100), 1) - 1]
    assert found == pytest.approx(true, rel=ERROR * 1.0001, abs=1e-11)


@given(st.lists(NUMBERS, max_size=30), st.lists(NUMBERS, max_size=30))
def test_two_sketches_added_have_the_quantiles_of_all_their_values(
    one: list[float], other: list[float]
) -> None:
    together, both = sketch_of(one), sketch_of(one + other)
    together.merge(sketch_of(other))

    assert (together.count, together.minimum, together.maximum) == (both.count, both.minimum, both.maximum)
    assert together.sum == pytest.approx(both.sum, rel=1e-9, abs=1e-3)
    assert list(together.values()) == list(both.values())


@given(
    st.lists(st.tuples(NUMBERS, st.one_of(st.integers(1, 10**10), st.floats(0.01, 1e6))), max_size=40),
)
def test_bytes_bring_back_the_same_sketch(values: list[tuple[float, float]]) -> None:
    sketch = Sketch()
    for value, times in values:
        sketch.add(value, times)

    assert unpack(pack(sketch)) == sketch
    totals = unpack(pack(sketch), totals=True)
    assert (totals.count, totals.sum) == (sketch.count, sketch.sum)


def test_a_summary_of_different_values_has_no_quantiles_and_one_of_equal_values_has() -> None:
    unknown, known = Sketch(), Sketch()
    unknown.add_summary(10, 55, 1, 10)
    known.add_summary(10, 20, 2, 2)

    assert unknown.quantile(0.5) is None
    assert (unknown.mean, unknown.minimum, unknown.maximum) == (5.5, 1, 10)
    assert known.quantile(0.5) == 2
    assert Sketch().quantile(0.5) is None
