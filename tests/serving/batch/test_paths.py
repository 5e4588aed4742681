"""The filters' part of JSONPath, beside what Python itself says of lists and objects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.serving.batch.paths import PathError, parse

ROW = st.lists(st.integers(), min_size=1, max_size=8)
BOUND = st.one_of(st.none(), st.integers(-9, 9))


@settings(deadline=None)
@given(ROW, BOUND, BOUND)
def test_slices_are_pythons(row: list[int], first: int | None, end: int | None) -> None:
    text = f"$[{'' if first is None else first}:{'' if end is None else end}]"

    assert parse(text).select(row) == row[first:end]


@settings(deadline=None)
@given(ROW, st.data())
def test_indices_choose_in_their_own_order_and_count_from_the_end_when_negative(
    row: list[int], data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(-len(row), len(row) - 1), min_size=2, max_size=4))

    assert parse(f"$[{','.join(map(str, places))}]").select(row) == [row[place] for place in places]
    assert parse(f"$[{places[0]}]").select(row) == row[places[0]]


@settings(deadline=None)
@given(st.dictionaries(st.text("abc_ é", min_size=1, max_size=3), st.integers(), min_size=2, max_size=5))
def test_names_choose_members(record: dict[str, int]) -> None:
    first, second, *_ = record

    assert parse(f"$['{first}']").select(record) == record[first]
    assert parse(f"$['{first}', '{second}']").select(record) == {
        first: record[first],
        second: record[second],
    }
    assert parse("$").select(record) is record


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$.features", [1, 2, 3]),
        ("$.features[0]", 1),
        ("$.features[1:]", [2, 3]),
        ("$.features[0,1:]", [1, 2, 3]),
        ("$.features.*", [1, 2, 3]),
        ("$.items[*].id", [7, 8]),
        ("$.items[0].id", 7),
        ("$.items[-1]", {"id": 8, "x": {"y": 9}}),
        ("$.items[1].x.y", 9),
        ("$.items[*]['id','x']", [{"id": 7}, {"id": 8, "x": {"y": 9}}]),
        ("$.items.[0]", {"id": 7}),
        ("$['with space']", 5),
        ("$['features','nothing']", {"features": [1, 2, 3]}),
        ("$[*]", [[1, 2, 3], [{"id": 7}, {"id": 8, "x": {"y": 9}}], 5]),
    ],
)
def test_expressions_find_what_jsonpath_says(text: str, found: Any) -> None:
    record = {"features": [1, 2, 3], "items": [{"id": 7}, {"id": 8, "x": {"y": 9}}], "with space": 5}

    assert parse(text).select(record) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "features",
        "$.",
        "$[",
        "$[]",
        "$[a]",
        "$..x",
        "$[?(@.x)]",
        "$[1:2:3]",
        "$['a','b'].c",
        "$['a'",
        "$x",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(PathError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("$[3]", [1, 2, 3], "asks for index 3 of 3"),
        ("$[0,-4]", [1, 2, 3], "asks for index -4 of 3"),
        ("$.x", {"y": 1}, "finds no member 'x'"),
        ("$.x", [1], "in what is no object"),
        ("$[0]", {"x": 1}, "in what is no array"),
    ],
)
def test_what_is_not_there_is_an_error(text: str, value: Any, why: str) -> None:
    with pytest.raises(PathError, match=why):
        parse(text).select(value)
