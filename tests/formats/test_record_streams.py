"""RecordIO and TFRecord files, record by record: what was framed comes back, and what is broken is told by its place."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.formats import FormatError, TooLongError, recordio, tfrecord

Stream = Callable[..., Iterator[tuple[bytes, bytes]]]
KINDS: list[tuple[Callable[[bytes], bytes], Stream]] = [
    (recordio.frame, recordio.stream),
    (tfrecord.frame, tfrecord.stream),
]


def read(stream: Stream, data: bytes, longest: int = 1 << 20, **more: Any) -> list[tuple[bytes, bytes]]:
    file: BinaryIO = io.BytesIO(data)
    return list(stream(file, longest, "a.rec", **more))


@pytest.mark.parametrize(("frame", "stream"), KINDS)
@settings(deadline=None)
@given(payloads=st.lists(st.binary(max_size=40), max_size=8))
def test_records_come_back_as_they_were_framed(
    frame: Callable[[bytes], bytes], stream: Stream, payloads: list[bytes]
) -> None:
    framed = [frame(payload) for payload in payloads]

    found = read(stream, b"".join(framed))

    assert found == list(zip(framed, payloads, strict=True))


@pytest.mark.parametrize(("frame", "stream"), KINDS)
@settings(deadline=None)
@given(payloads=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), data=st.data())
def test_a_file_that_ends_inside_a_record_is_refused_by_name(
    frame: Callable[[bytes], bytes], stream: Stream, payloads: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(map(frame, payloads))
    last = len(whole) - len(frame(payloads[-1]))
    cut = data.draw(st.integers(last + 1, last + 8 + len(payloads[-1]) - 1))

    with pytest.raises(FormatError, match=r"^a\.rec: "):
        read(stream, whole[:cut])


@pytest.mark.parametrize(("frame", "stream"), KINDS)
def test_what_is_not_framed_is_refused_and_so_is_a_record_above_the_limit(
    frame: Callable[[bytes], bytes], stream: Stream
) -> None:
    with pytest.raises(FormatError, match="at byte 0"):
        read(stream, b"1,2,3\n4,5,6\n7,8,9\n")
    with pytest.raises(TooLongError, match="longer than 50 bytes"):
        read(stream, frame(b"x" * 100), 50)


def test_parts_of_a_recordio_record_are_joined_where_the_magic_number_was() -> None:
    magic = recordio.frame(b"")[:4]
    parts = [
        magic + (1 << 29 | 2).to_bytes(4, "little") + b"ab\0\0",
        magic + (3 << 29 | 4).to_bytes(4, "little") + b"cdef",
    ]

    assert read(recordio.stream, b"".join(parts)) == [(b"".join(parts), b"ab" + magic + b"cdef")]


def test_a_tfrecord_payload_that_changed_is_found_by_its_checksum() -> None:
    framed = bytearray(tfrecord.frame(b"payload"))
    framed[13] ^= 1

    with pytest.raises(FormatError, match="its checksum does not match"):
        read(tfrecord.stream, bytes(framed))
    assert read(tfrecord.stream, bytes(framed), check=False)[0][0] == bytes(framed)
