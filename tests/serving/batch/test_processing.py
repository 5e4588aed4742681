"""Filter, join, filter: what the model sees and what comes out of it, for each kind of record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.serving.batch.processing import Processing, ProcessingError

CELLS = st.text("ab1 .é", min_size=1, max_size=4).filter(str.strip)
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def lengths(body: bytes) -> bytes:
    """A model: how long each line is."""
    return b"".join(b"%d\n" % len(line.decode()) for line in body.splitlines())


def text(rows: list[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


@settings(deadline=None)
@given(ROWS)
def test_joined_csv_is_the_row_and_then_its_prediction(rows: list[list[str]]) -> None:
    process = Processing("text/csv", "Line", join=True)

    found = process(text(rows), lengths)

    assert found == text([[*row, str(len(",".join(row)))] for row in rows])


@settings(deadline=None)
@given(ROWS)
def test_the_model_sees_what_the_input_filter_leaves_and_the_join_sees_the_whole_row(
    rows: list[list[str]],
) -> None:
    seen: list[bytes] = []
    process = Processing("text/csv; charset=utf-8", "Line", "$[1:]", "$[0,-1]", join=True)

    found = process(text(rows), lambda body: (seen.append(body), lengths(body))[1])

    assert seen == [text([row[1:] for row in rows])]
    assert found == text([[row[0], str(len(",".join(row[1:])))] for row in rows])


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_joined_json_lines_have_the_prediction_as_a_member(values: list[Any]) -> None:
    body = "".join(json.dumps(value) + "\n" for value in values).encode()
    process = Processing("application/jsonlines", "Line", join=True)

    found = process(body, lambda asked: b"".join(b"[%d]\n" % n for n in range(len(asked.splitlines()))))

    wanted = [
        {**(value if isinstance(value, dict) else {"SageMakerInput": value}), "SageMakerOutput": [place]}
        for place, value in enumerate(values)
    ]
    assert [json.loads(line) for line in found.decode().split("\n")[:-1]] == wanted


def test_a_whole_json_document_is_one_record() -> None:
    process = Processing("application/json", "None", "$.instances", "$['id','SageMakerOutput']", join=True)

    found = process(
        b'{"id": 7,\n "instances": [[1, 2]]}', lambda body: json.dumps(json.loads(body)[0]).encode()
    )

    assert json.loads(found) == {"id": 7, "SageMakerOutput": [1, 2]}


def test_an_input_member_of_the_outputs_name_is_overwritten() -> None:
    process = Processing("application/jsonlines", "Line", join=True)

    assert process(b'{"SageMakerOutput":1}\n', lambda _: b"2") == b'{"SageMakerOutput":2}\n'


def test_quoted_cells_keep_their_commas() -> None:
    process = Processing("text/csv", "Line", "$[1]", "$[0,-1]", join=True)

    assert process(b'"Doe, Jo",1\n"say ""hi""",22\n', lengths) == b'"Doe, Jo",1\n"say ""hi""",2\n'


def test_blank_lines_are_no_records() -> None:
    process = Processing("text/csv", "Line", join=True)

    assert process(b"a,b\n\n  \nc,d\r\n", lambda _: b"1\n\n2\n") == b"a,b,1\nc,d,2\n"
    assert process(b"\n \n", lambda _: pytest.fail("there is nothing to ask")) == b""


def test_without_filters_or_join_bytes_go_through_untouched() -> None:
    assert Processing("", "None", join=False)(b"\x00\xff\r\n", lambda body: body) == b"\x00\xff\r\n"


@pytest.mark.parametrize(
    ("process", "body", "answer", "why", "by_model"),
    [
        (Processing("text/csv", "Line", join=True), b"a\nb\n", b"1\n", "answered 1 records for 2", True),
        (Processing("text/csv", "Line", "$[5]", join=False), b"a,b\n", b"", "index 5 of 2", False),
        (Processing("text/csv", "Line", "$", "$[3]", join=True), b"a,b\n", b"1", "index 3 of 3", False),
        (
            Processing("application/jsonlines", "Line", "$.x", join=False),
            b"{x}\n",
            b"",
            "the input is not",
            False,
        ),
        (
            Processing("application/jsonlines", "Line", join=True),
            b"1\n",
            b"<html>",
            "Failed to parse output from the algorithm as application/jsonlines",
            True,
        ),
    ],
)
def test_what_cannot_be_filtered_or_joined_is_told(
    process: Processing, body: bytes, answer: bytes, why: str, by_model: bool
) -> None:
    with pytest.raises(ProcessingError, match=why) as failed:
        process(body, lambda _: answer)

    assert failed.value.by_model is by_model
