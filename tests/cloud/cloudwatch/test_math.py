"""Metric math: what expressions come to, and what is said of those that cannot be."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.cloud.cloudwatch.math import ExpressionError, Line, Value
from colonnade.cloud.cloudwatch.math.evaluation import evaluate
from colonnade.cloud.cloudwatch.math.functions import Scope
from colonnade.cloud.cloudwatch.math.parser import parse

LINES: dict[str, Value] = {
    "a": Line("A", 60, {0: 1.0, 60: 2.0, 120: 3.0, 300: 10.0}),
    "b": Line("B", 60, {60: 4.0, 120: 0.0, 180: 7.0}),
    "empty": Line("E", 60, {}),
}


def value(expression: str) -> Value:
    metrics = {name: line for name, line in LINES.items() if isinstance(line, Line)}
    return evaluate(parse(expression), Scope(LINES.__getitem__, lambda: metrics, 0, 360))


def points(expression: str) -> dict[float, float]:
    found = value(expression)
    assert isinstance(found, Line)
    return found.points


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", {60: 6, 120: 3}),
        ("a / b", {60: 0.5}),
        ("100 * a - 1", {0: 99, 60: 199, 120: 299, 300: 999}),
        ("-a ^ 2", {0: -1, 60: -4, 120: -9, 300: -100}),
        ("a >= 2 AND a < 10", {0: 0, 60: 1, 120: 1, 300: 0}),
        ("a == 1 || a == 10", {0: 1, 60: 0, 120: 0, 300: 1}),
        ("SUM([a, b])", {0: 1, 60: 6, 120: 3, 180: 7, 300: 10}),
        ("MAX(METRICS())", {0: 1, 60: 4, 120: 3, 180: 7, 300: 10}),
        ("AVG(METRICS('b'))", {60: 4, 120: 0, 180: 7}),
        ("FILL(a, 0)", {0: 1, 60: 2, 120: 3, 180: 0, 240: 0, 300: 10}),
        ("FILL(b, REPEAT)", {60: 4, 120: 0, 180: 7, 240: 7, 300: 7}),
        (
            "FILL(a, LINEAR)",
            {0: 1, 60: 2, 120: 3, 180: pytest.approx(16 / 3), 240: pytest.approx(23 / 3), 300: 10},
        ),
        ("IF(a > 2, a)", {120: 3, 300: 10}),
        ("IF(a > 2, 1, b)", {60: 4, 120: 1, 300: 1}),
        ("IF(MAX(b) > 5, a, b)", {0: 1, 60: 2, 120: 3, 300: 10}),
        ("RATE(a)", {60: 1 / 60, 120: 1 / 60, 300: 7 / 180}),
        ("DIFF(b)", {120: -4, 180: 7}),
        ("RUNNING_SUM(b)", {60: 4, 120: 4, 180: 11}),
        ("LOG10(a)", {0: 0, 60: math.log10(2), 120: math.log10(3), 300: 1}),
        ("LOG(b)", {60: math.log(4), 180: math.log(7)}),
        ("MINUTE(a)", {0: 0, 60: 1, 120: 2, 300: 5}),
        ("a * PERIOD(a)", {0: 60, 60: 120, 120: 180, 300: 600}),
        ("a + 0 * METRIC_COUNT(METRICS())", {0: 1, 60: 2, 120: 3, 300: 10}),
        ("FIRST(SORT(METRICS(), MAX, DSC))", {0: 1, 60: 2, 120: 3, 300: 10}),
        ("FIRST(SLICE(REMOVE_EMPTY(METRICS()), 1))", {60: 4, 120: 0, 180: 7}),
        ("TIME_SERIES(SUM(b))", dict.fromkeys(range(0, 360, 60), 11.0)),
        ("a - a", {0: 0, 60: 0, 120: 0, 300: 0}),
        ("empty + 1", {}),
    ],
)
def test_expressions_come_to_what_cloudwatch_documents(expression: str, expected: dict[float, Any]) -> None:
    assert points(expression) == expected


def test_an_array_is_changed_line_by_line() -> None:
    found = value("METRICS() * 2")

    assert isinstance(found, list)
    assert [line.points for line in found] == [{0: 2, 60: 4, 120: 6, 300: 20}, {60: 8, 120: 0, 180: 14}, {}]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("a +", "ends too early"),
        ("(a", "ends too early"),
        ("a b", "b at position 3"),
        ("a $ b", "$ of the expression"),
        ("nobody", "nobody, which is the Id of no query"),
        ("FROBNICATE(a)", "FROBNICATE is not known"),
        ("RATE()", "arguments of RATE do not fit"),
        ("RATE(a, b, a)", "arguments of RATE do not fit"),
        ("SUM(empty)", "without points"),
        ("1 / 0", "has no value"),
        ("METRICS() + [a]", "Arrays of 3 and 1"),
        ("SORT(METRICS(), WORST, ASC)", "WORST"),
        ("'text'", "has no value here"),
        ("(" * 100 + "a" + ")" * 100, "levels deep"),
        ("2" + "^2" * 100, "levels deep"),
    ],
)
def test_expressions_that_cannot_be_say_why(expression: str, text: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        value(expression)

    assert text in refused.value.message


TREES = st.recursive(
    st.integers(1, 9).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
            lambda each: "({} {} {})".format(*each)
        ),
        st.tuples(inner, st.sampled_from(["+", "*", "-"]), inner).map(lambda each: "{}{}{}".format(*each)),
        inner.map("-{}".format),
    ),
    max_leaves=12,
)


@given(TREES)
def test_arithmetic_is_as_everywhere(expression: str) -> None:
    assert value(expression) == pytest.approx(float(eval(expression)))  # numbers and operators only


@given(st.text(alphabet="ab19.+-*/^()<>=!&|,[]'\" _AVGSUMIF", max_size=40))
def test_any_text_has_a_value_or_is_refused(expression: str) -> None:
    try:
        found = value(expression)
    except ExpressionError:
        return
    assert isinstance(found, float | Line | list)
