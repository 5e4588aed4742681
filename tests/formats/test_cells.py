"""Many plain numbers at once are the numbers that numpy's own reader finds, or are left to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.formats import cells, csv

WHOLE = st.integers(-(10**14), 10**14).map(str)
DECIMAL = st.decimals(-99999, 99999, places=6, allow_nan=False).map("{:f}".format)
PLAIN = st.one_of(WHOLE, DECIMAL, st.sampled_from(["", "0", "-0", ".5", "5.", "-.25", "007"]))
TABLE = st.integers(2, 6).flatmap(
    lambda width: st.lists(st.lists(PLAIN, min_size=width, max_size=width), min_size=1, max_size=30)
)


@settings(deadline=None)
@given(TABLE, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_plain_numbers_are_those_of_the_slow_reader_to_the_bit(
    table: list[list[str]], newline: str, ended: bool
) -> None:
    text = newline.join(",".join(row) for row in table) + (newline if ended else "")

    found = cells.matrix(text.encode())

    named = "\n".join(",".join(cell or "nan" for cell in row) for row in table)
    assert found is not None
    np.testing.assert_array_equal(found, csv._load(named.encode()))


@settings(deadline=None)
@given(st.lists(st.text("0123456789.,-\n e", max_size=12), max_size=8).map(",".join))
def test_whatever_is_read_at_once_is_what_the_slow_reader_reads(text: str) -> None:
    found = cells.matrix(text.encode())

    if found is not None and text.strip():
        named = csv._EMPTY_CELL.sub(b"nan", text.encode())
        np.testing.assert_array_equal(found, csv._load(named))


@pytest.mark.parametrize(
    "text",
    [
        "-,1\n",
        ".,1\n",
        "1-2,1\n",
        "1.2.3,1\n",
        "--1,2\n",
        "1,2\n3\n",
        "1,2\n\n3,4\n",
        " 1,2\n",
        "1e3,2\n",
        "nan,2\n",
    ],
)
def test_what_is_not_plain_is_left_to_the_slow_reader(text: str) -> None:
    assert cells.matrix(text.encode()) is None


def test_pieces_are_joined_whatever_they_are_cut_at() -> None:
    rows = np.arange(300_000).reshape(-1, 3)
    body = b"".join(b"%d,%d,%d\n" % tuple(row) for row in rows.tolist())

    found = csv.rows(body)

    np.testing.assert_array_equal(found, rows.astype(np.float32))


def test_a_long_body_that_is_wrong_is_told_by_line_and_column() -> None:
    body = b"1,2\n" * 5000 + b"1,x\n"

    with pytest.raises(csv.FormatError, match="line 5001, column 2: 'x' is not a number"):
        csv.rows(body)
