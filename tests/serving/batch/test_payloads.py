"""Splitting: payloads joined are the file, none is above the limit, and each knows where it begins."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.formats import FormatError, recordio, tfrecord
from colonnade.serving.batch import payloads as splitting
from colonnade.serving.batch.payloads import Payload
from colonnade.serving.batch.plan import Plan

LINES = st.lists(st.text("ab,1 ", max_size=20), max_size=30)
FRAMES = {"RecordIO": recordio.frame, "TFRecord": tfrecord.frame}


class Small(Plan, frozen=True):
    """A plan whose limit is counted in bytes."""

    bytes: int = 64

    @property
    def max_payload(self) -> int:
        return self.bytes


def split(data: bytes, **plan: Any) -> list[Payload]:
    return list(splitting.payloads(io.BytesIO(data), Small([], [], **plan), "in/a"))


@settings(deadline=None)
@given(LINES, st.booleans(), st.integers(22, 100))
def test_batches_of_lines_joined_are_the_file_without_payloads_of_blank_lines(
    lines: list[str], ended: bool, limit: int
) -> None:
    data = ("\n".join(lines) + ("\n" if ended and lines else "")).encode()

    found = split(data, split="Line", bytes=limit)

    assert [line for each in found for line in each.body.splitlines() if line.strip()] == [
        line.encode() for line in lines if line.strip()
    ]
    assert all(len(each.body) <= limit for each in found)
    rows = data.split(b"\n")
    assert all(each.body.split(b"\n")[0] == rows[each.first - 1] for each in found)


@settings(deadline=None)
@given(LINES, st.integers(22, 60))
def test_batches_are_as_full_as_they_can_be(lines: list[str], limit: int) -> None:
    data = "".join(f"{line}x\n" for line in lines).encode()

    found = split(data, split="Line", bytes=limit)

    assert b"".join(each.body for each in found) == data
    for this, following in pairwise(found):
        assert len(this.body) + following.body.index(b"\n") + 1 > limit


@settings(deadline=None)
@given(LINES)
def test_single_lines_are_the_lines_that_are_not_blank(lines: list[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()

    found = split(data, split="Line", single_record=True)

    assert [(each.first, each.body) for each in found] == [
        (number, f"{line}\n".encode()) for number, line in enumerate(lines, 1) if line.strip()
    ]


@pytest.mark.parametrize("kind", FRAMES)
@settings(deadline=None)
@given(records=st.lists(st.binary(max_size=30), max_size=12))
def test_batches_of_framed_records_joined_are_the_file(kind: str, records: list[bytes]) -> None:
    data = b"".join(map(FRAMES[kind], records))

    found = split(data, split=kind, bytes=100)

    assert b"".join(each.body for each in found) == data
    assert sum(each.count for each in found) == len(records)
    assert [each.first for each in found] == [
        1 + sum(before.count for before in found[:place]) for place in range(len(found))
    ]
    assert [raw for each in found for raw in splitting.records(each.body, kind)] == [
        FRAMES[kind](record) for record in records
    ]


@pytest.mark.parametrize("kind", FRAMES)
@settings(deadline=None)
@given(records=st.lists(st.binary(max_size=30), max_size=12))
def test_a_single_framed_record_comes_without_its_frame(kind: str, records: list[bytes]) -> None:
    data = b"".join(map(FRAMES[kind], records))

    assert [each.body for each in split(data, split=kind, single_record=True)] == records


def test_a_file_that_is_not_split_is_one_payload_and_an_empty_one_none() -> None:
    assert split(b"anything\n\0") == [Payload(b"anything\n\0", 1, 1)]
    assert split(b"") == split(b"", split="Line") == split(b"", split="RecordIO") == []


@pytest.mark.parametrize(
    ("data", "plan", "why"),
    [
        (b"x" * 65, {}, "in/a: the file is longer than MaxPayloadInMB"),
        (b"a\nb\n" + b"x" * 65, {"split": "Line"}, "in/a, line 3: the record is longer than MaxPayloadInMB"),
        (b"a\n" + b"x" * 65 + b"\n", {"split": "Line", "single_record": True}, "in/a, line 2: the record"),
        (recordio.frame(b"x" * 65), {"split": "RecordIO"}, "in/a: record 1 is longer than MaxPayloadInMB"),
        (b"no frames at all", {"split": "TFRecord"}, "in/a: no TFRecord at byte 0"),
    ],
)
def test_what_cannot_be_split_is_told_by_file_and_place(data: bytes, plan: dict[str, Any], why: str) -> None:
    with pytest.raises(FormatError, match=why):
        split(data, **plan)


def test_the_line_of_a_record_counts_the_blank_ones() -> None:
    assert [splitting.line_of(b"\n a\n\n\nb\nc", record) for record in (1, 2, 3)] == [2, 5, 6]
