"""Frames: what goes in comes out however the bytes are cut; what is no frame is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.serving.frames import (
    INVOKE,
    MAX_FRAME,
    Answer,
    Answers,
    FrameError,
    Request,
    Requests,
    pack_answer,
    pack_request,
)

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
answers = st.lists(
    st.builds(Answer, st.integers(100, 599), st.binary(max_size=200), texts, texts), max_size=5
)
requests = st.lists(
    st.builds(Request, st.just(INVOKE), st.binary(max_size=200), texts, texts, texts, texts), max_size=5
)


@given(answers, st.integers(1, 50))
def test_answers_survive_any_cutting(sent: list[Answer], size: int) -> None:
    stream = b"".join(map(pack_answer, sent))
    found, reader = list[Answer](), Answers()

    for at in range(0, len(stream), size):
        found += reader.feed(stream[at : at + size])

    assert found == sent


@given(requests, st.integers(1, 50))
def test_requests_survive_any_cutting(sent: list[Request], size: int) -> None:
    stream = b"".join(map(pack_request, sent))
    found, reader = list[Request](), Requests()

    for at in range(0, len(stream), size):
        found += reader.feed(stream[at : at + size])

    assert found == sent


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<IHHH", MAX_FRAME + 1, 200, 0, 0),
        struct.pack("<IHHH", 3, 200, 2, 2) + b"abc",
        pack_answer(Answer(200, b"", "text/csv\r\nx-injected: 1")),
        pack_answer(Answer(200, b"", "text/csv", "é")),
    ],
)
def test_what_a_replica_must_not_send_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        list(Answers().feed(data))
