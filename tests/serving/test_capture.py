"""Captured calls: what a line says, how files come to be whole, and what a death of their writer leaves."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from colonnade.serving.capture import Capture, Recorder, Sample, Spool, Terms, line

BOTH = frozenset(("INPUT", "OUTPUT"))
TEXT = Terms("e-1", 1.0, BOTH, frozenset(("text/csv",)), frozenset(("application/json",)))
CALL = Sample(b"1,2\n", "text/csv; charset=utf-8", b'{"p":0.5}', "application/json", "who=me", "id-7")
AT = 1_780_000_001.5


def written(sample: Sample, terms: Terms = TEXT) -> Any:
    return json.loads(line(terms, sample, AT))


def test_a_line_holds_both_sides_as_text_with_their_whole_content_types() -> None:
    record = written(CALL)

    assert record["captureData"] == {
        "endpointInput": {
            "observedContentType": "text/csv; charset=utf-8",
            "mode": "INPUT",
            "data": "1,2\n",
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": '{"p":0.5}',
            "encoding": "JSON",
        },
    }
    event = record["eventMetadata"]
    assert (event["inferenceId"], event["customAttributes"]) == ("id-7", ["who=me"])
    assert event["inferenceTime"] == "2026-05-28T20:26:41Z"
    assert len(event["eventId"]) == 36
    assert record["eventVersion"] == "0"


@pytest.mark.parametrize(
    ("body", "kind"), [(b"\xff\x00", "text/csv"), (b"1,2", "application/x-npy"), (b"", "")]
)
def test_what_is_not_listed_or_not_text_is_written_in_base64(body: bytes, kind: str) -> None:
    side = written(Sample(body, kind, b"", ""))["captureData"]["endpointInput"]

    assert (base64.b64decode(side["data"]), side["encoding"]) == (body, "BASE64")


def test_what_the_caller_did_not_send_is_absent_and_only_the_sides_asked_for_are_there() -> None:
    record = written(Sample(b"1", "text/csv", b"2", "text/csv"), Terms("e", 1.0, frozenset(("OUTPUT",))))

    assert list(record["captureData"]) == ["endpointOutput"]
    assert set(record["eventMetadata"]) == {"eventId", "inferenceTime"}


def test_a_share_of_the_calls_is_taken_each_independently() -> None:
    capture = Capture(Recorder(Path("unused")), Terms("e", 0.2, BOTH), "blue")
    rng = Random(3)

    taken = sum(capture.wants(rng) for _ in range(10_000))

    assert abs(taken - 2000) <= 5 * 40
    assert not any(Capture(capture.recorder, Terms("e", 0.0, BOTH), "b").wants(rng) for _ in range(100))


def test_a_finished_endpoints_files_are_complete_under_the_hours_of_their_calls(tmp_path: Path) -> None:
    moments = iter([AT, AT + 3600, AT + 3600, AT + 3600])
    recorder = Recorder(tmp_path, lambda: next(moments, AT + 3600))
    for variant in ("blue", "green"):
        Capture(recorder, TEXT, variant).note(CALL)

    recorder.finish("e-1")

    files = {file.variant: file for file in Spool(tmp_path).complete("e-1")}
    assert files["blue"].key.startswith("blue/2026/05/28/20/")
    assert files["green"].key.startswith("green/2026/05/28/21/")
    assert all(len(file.path.read_bytes().splitlines()) == 1 for file in files.values())
    Spool(tmp_path).forget("e-1")
    assert Spool(tmp_path).complete("e-1") == []


def test_samples_beyond_what_may_wait_for_the_disk_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colonnade.serving.capture._MOST_PENDING", 3 * CALL.size)
    recorder = Recorder(tmp_path)
    with recorder._writing:  # the disk is slow
        for _ in range(5):
            Capture(recorder, TEXT, "blue").note(CALL)
    recorder.finish("e-1")
    Capture(recorder, TEXT, "blue").note(CALL)
    recorder.finish("e-1")

    files = Spool(tmp_path).complete("e-1")

    assert recorder.dropped == 2
    assert sorted(len(file.path.read_bytes().splitlines()) for file in files) == [1, 3]


WRITER = """
import sys, time
from pathlib import Path
from colonnade.serving.capture import Capture, Recorder, Sample, Terms
recorder = Recorder(Path(sys.argv[1]))
capture = Capture(recorder, Terms("e-1", 1.0, frozenset(("INPUT",))), "blue")
capture.note(Sample(b"1", "text/csv", b"2", "text/csv"))
while not list(Path(sys.argv[1]).glob("*/*/*.part")) or not recorder._written:
    time.sleep(0.01)
recorder._write()
print("there", flush=True)
sys.stdin.read()
"""


def test_a_killed_writers_file_is_taken_over_without_the_line_that_was_cut_off(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"there\n"
        while_alive = Spool(tmp_path).complete("e-1")
        writer.kill()
        writer.wait(30)
    (part,) = tmp_path.glob("*/*/*.part")
    with part.open("ab") as stream:
        stream.write(b'{"captureData":{"endpo')

    (file,) = Spool(tmp_path).complete("e-1")

    assert while_alive == []
    assert [json.loads(each)["eventVersion"] for each in file.path.read_bytes().splitlines()] == ["0"]
