"""A stream's file: appended to at any time, read at any time, killed at any byte."""

from __future__ import annotations

import os
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colonnade.cloud.logs import frames

HEAD = frames.Head("group", "stream", 1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a.stream"
    assert frames.create(made, HEAD)
    return made


def add(path: Path, *messages: str, at: int = 5000, position: int | None = None) -> None:
    events = [(at + i, message) for i, message in enumerate(messages)]
    assert frames.append(path, events, position=position, now=9000)


def messages(path: Path) -> list[str]:
    return [event.message for event in frames.forward(path)]


def test_a_stream_is_created_once(path: Path) -> None:
    assert not frames.create(path, frames.Head("other", "other", 0))
    assert frames.head(path) == HEAD
    assert frames.state(path) == frames.EMPTY
    assert [each.name for each in path.parent.iterdir()] == ["a.stream"]


def test_events_come_back_in_order_from_both_ends(path: Path) -> None:
    add(path, "one", "two\nlines ✓", at=5000)
    add(path, "three", at=6000)
    assert messages(path) == ["one", "two\nlines ✓", "three"]
    assert [event.message for event in frames.backward(path)] == ["three", "two\nlines ✓", "one"]
    state = frames.state(path)
    assert (state.first, state.last, state.ingested) == (5000, 6000, 9000)


def test_reading_goes_on_from_an_address_in_both_directions(path: Path) -> None:
    add(path, "a", "b", "c")
    add(path, "d", "e")
    every = list(frames.forward(path))
    for i, event in enumerate(every):
        assert list(frames.forward(path, event.address)) == every[i:]
        assert list(frames.backward(path, event.address)) == every[:i][::-1]


def test_an_address_inside_a_frame_is_refused(path: Path) -> None:
    add(path, "a")
    with pytest.raises(ValueError, match="no frame begins at byte"):
        list(frames.forward(path, (path.stat().st_size - 3, 0)))


def test_repeating_an_append_with_its_position_changes_nothing(path: Path) -> None:
    add(path, "a", position=10)
    add(path, "a", position=10)
    add(path, "older", position=7)
    add(path, "from a client")
    assert frames.state(path).position == 10
    add(path, "b", position=20)
    assert messages(path) == ["a", "from a client", "b"]


def test_a_writer_killed_at_any_byte_leaves_all_of_a_batch_or_nothing(path: Path) -> None:
    add(path, "kept", position=5)
    before = path.read_bytes()
    add(path, "x", "y", position=8)
    after = path.read_bytes()
    for cut in range(len(before), len(after)):
        path.write_bytes(after[:cut])
        assert messages(path) == ["kept"]
        assert frames.state(path).position == 5
        add(path, "x", "y", position=8)
        assert path.read_bytes() == after


def test_a_damaged_frame_is_left_out_and_the_rest_is_read(path: Path) -> None:
    add(path, "first")
    begin = path.stat().st_size
    add(path, "second")
    add(path, "third")
    data = bytearray(path.read_bytes())
    data[begin + 5] ^= 1
    path.write_bytes(data)
    assert messages(path) == ["first", "third"]
    assert [event.message for event in frames.backward(path)] == ["third", "first"]


def test_a_deleted_stream_takes_nothing(path: Path) -> None:
    path.unlink()
    assert not frames.append(path, [(1, "a")], position=None, now=1)


def write_some(path: Path, name: str) -> None:
    for i in range(50):
        frames.append(path, [(1000 + i, f"{name} {i}")], position=None, now=2000)


def test_processes_write_at_once_and_nothing_is_lost(path: Path) -> None:
    context = get_context("fork")
    writers = [context.Process(target=write_some, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = messages(path)
    assert len(found) == 150
    for name in "abc":
        assert [m for m in found if m.startswith(name)] == [f"{name} {i}" for i in range(50)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.text(max_size=20), max_size=4), max_size=6))
def test_any_text_comes_back_as_it_was(tmp_path: Path, batches: list[list[str]]) -> None:
    path = tmp_path / f"{os.urandom(6).hex()}.stream"
    frames.create(path, HEAD)
    for batch in batches:
        add(path, *batch)
    every = [message for batch in batches for message in batch]
    assert messages(path) == every
    assert [event.message for event in frames.backward(path)] == every[::-1]
