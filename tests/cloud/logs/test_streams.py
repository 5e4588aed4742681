"""The port through which the platform writes logs, and where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from colonnade.cloud.logs import frames
from colonnade.cloud.logs.streams import FileLogStreams
from colonnade.kernel.clock import ManualClock
from colonnade.kernel.ports import LogEvent, LogStreams

WHERE = ("123456789012", "us-east-1")
GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def logs(tmp_path: Path) -> FileLogStreams:
    return FileLogStreams(tmp_path / "logs", ManualClock(1000.0))


def read(logs: FileLogStreams, group: str, stream: str) -> list[tuple[int, str]]:
    path = logs.path(*WHERE, group, stream)
    return [(event.timestamp, event.message) for event in frames.forward(path)]


def test_group_and_stream_come_into_being_with_the_first_append(logs: FileLogStreams) -> None:
    port: LogStreams = logs
    assert port.position(*WHERE, GROUP, "job/algo-1") == 0
    port.append(*WHERE, GROUP, "job/algo-1", [LogEvent(1.5, "hello")], position=6)
    port.append(*WHERE, GROUP, "job/algo-1", [LogEvent(1.5, "hello")], position=6)
    assert read(logs, GROUP, "job/algo-1") == [(1500, "hello")]
    assert port.position(*WHERE, GROUP, "job/algo-1") == 6
    assert [group.name for group in logs.groups(*WHERE)] == [GROUP]
    assert [stream.name for stream in logs.streams(*WHERE, GROUP)] == ["job/algo-1"]


@pytest.mark.parametrize("name", ["..", ".", "~x", "a/../b", "a:b$LATEST*", "é" * 300, "%2F", ".hidden"])
def test_any_name_is_a_file_below_the_folder(logs: FileLogStreams, tmp_path: Path, name: str) -> None:
    logs.append(*WHERE, name, name, [LogEvent(1.0, "x")])
    assert [group.name for group in logs.groups(*WHERE)] == [name]
    assert [stream.name for stream in logs.streams(*WHERE, name, name[:2])] == [name]
    assert [each.name for each in tmp_path.iterdir()] == ["logs"]


def test_names_that_begin_alike_are_told_apart(logs: FileLogStreams) -> None:
    for stream in ("a/1", "a%2F1", "b/1", "a" * 250 + "1", "a" * 250 + "2"):
        logs.append(*WHERE, GROUP, stream, [LogEvent(1.0, stream)])
    assert {stream.name for stream in logs.streams(*WHERE, GROUP, "a")} == {
        "a/1",
        "a%2F1",
        "a" * 250 + "1",
        "a" * 250 + "2",
    }
    assert read(logs, GROUP, "a/1") == [(1000, "a/1")]


def test_a_group_is_created_and_deleted_once(logs: FileLogStreams) -> None:
    assert logs.create_group(*WHERE, GROUP)
    assert not logs.create_group(*WHERE, GROUP)
    logs.append(*WHERE, GROUP, "s", [LogEvent(1.0, "x")])
    assert logs.delete_group(*WHERE, GROUP)
    assert not logs.delete_group(*WHERE, GROUP)
    assert logs.group(*WHERE, GROUP) is None
    assert list(logs.streams(*WHERE, GROUP)) == []


def test_accounts_and_regions_are_apart(logs: FileLogStreams) -> None:
    logs.append("123456789012", "us-east-1", GROUP, "s", [LogEvent(1.0, "x")])
    assert logs.groups("123456789012", "eu-west-1") == []
    assert logs.groups("210987654321", "us-east-1") == []


def test_another_reader_sees_what_is_appended_meanwhile(logs: FileLogStreams, tmp_path: Path) -> None:
    other = FileLogStreams(tmp_path / "logs", ManualClock())
    logs.append(*WHERE, GROUP, "s", [LogEvent(1.0, "one")])
    assert read(other, GROUP, "s") == [(1000, "one")]
    logs.append(*WHERE, GROUP, "s", [LogEvent(2.0, "two")])
    assert read(other, GROUP, "s") == [(1000, "one"), (2000, "two")]
