"""The tables of CloudWatch's guide: what an alarm makes of points that are missing."""

from __future__ import annotations

import pytest

from colonnade.cloud.cloudwatch.alarm.judgement import TREATMENTS, Terms, judge
from colonnade.cloud.cloudwatch.alarm.rule import parse
from colonnade.kernel.errors import ServiceError

VALUES = {"0": 0.0, "X": 9.0, "-": None}


@pytest.mark.parametrize(
    ("points", "needed", "states"),
    [
        # "Configuring how alarms treat missing data", 3 out of 3; states for missing, ignore, breaching, notBreaching.
        ("0 - X - X", 3, "OK OK OK OK"),
        ("- - - - 0", 3, "OK OK OK OK"),
        ("- - - - -", 3, "INSUFFICIENT_DATA same ALARM OK"),
        ("0 X X - X", 3, "ALARM ALARM ALARM ALARM"),
        ("- - X - -", 3, "ALARM same ALARM OK"),
        # The same, 2 out of 3.
        ("- - X - X", 2, "ALARM ALARM ALARM ALARM"),
        ("0 0 X 0 X", 2, "ALARM ALARM ALARM ALARM"),
        ("0 - X - -", 2, "OK OK ALARM OK"),
        ("- - - - 0", 2, "OK OK ALARM OK"),
        ("- - - X -", 2, "ALARM same ALARM OK"),
    ],
)
def test_missing_points_are_treated_as_the_guide_says(points: str, needed: int, states: str) -> None:
    latest_first = [VALUES[point] for point in reversed(points.split())]

    found = [
        judge(Terms("GreaterThanThreshold", 5.0, 3, needed, missing), latest_first).state or "same"
        for missing in TREATMENTS
    ]

    assert found == states.split()


@pytest.mark.parametrize(
    ("comparison", "alarms"),
    [
        ("GreaterThanThreshold", [False, False, True]),
        ("GreaterThanOrEqualToThreshold", [False, True, True]),
        ("LessThanThreshold", [True, False, False]),
        ("LessThanOrEqualToThreshold", [True, True, False]),
    ],
)
def test_comparisons_are_what_they_are_called(comparison: str, alarms: list[bool]) -> None:
    states = [judge(Terms(comparison, 5.0, 1, 1), [value]).state for value in (4.0, 5.0, 6.0)]

    assert states == ["ALARM" if each else "OK" for each in alarms]


STATES = {"a": "ALARM", "b": "OK", "with space": "INSUFFICIENT_DATA", "AND": "ALARM"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("ALARM(a)", True),
        ('ALARM("a") AND OK(b)', True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(b) OR INSUFFICIENT_DATA('with space')", True),
        ("NOT OK(b) OR ALARM(b)", False),
        ("NOT (OK(a) OR ALARM(b))", True),
        ("ALARM(b) AND ALARM(b) OR ALARM(a)", True),
        ("ALARM(b) AND (ALARM(b) OR ALARM(a))", False),
        ("TRUE AND NOT FALSE", True),
        ('ALARM("AND")', True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:a)", True),
    ],
)
def test_rules_hold_by_the_states_of_the_alarms_they_name(text: str, holds: bool) -> None:
    rule = parse(text)

    assert rule.holds(STATES.__getitem__) is holds
    assert rule.names <= set(STATES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ALARM",
        "ALARM(",
        "ALARM()",
        "ALARM(a",
        "ALARM(a) AND",
        "a",
        "ALARM(a) ALARM(b)",
        "(" * 200 + "TRUE",
        "NOT " * 200,
    ],
)
def test_rules_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ServiceError, match="AlarmRule must not contain an invalid expression"):
        parse(text)
