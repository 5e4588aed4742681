"""Which compiled model a worker was predicting with when it fell, told by what it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from colonnade.serving.crashes import Noted, Witness, crashed, mark_what_crashed, witness

WORKER = """
import faulthandler, os, signal, sys
from pathlib import Path
from colonnade.serving.crashes import Noted, witness

class Model:
    def invoke(self, body, content_type, accept):
        if body == b"fall":
            faulthandler._sigsegv()
        if body == b"be killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return body, "text/csv"

witness.open(Path(sys.argv[1]))
for name in ("innocent", "guilty"):
    Noted(Model(), Path(sys.argv[2], name)).invoke(b"1", "", "")
Noted(Model(), Path(sys.argv[2], "guilty")).invoke(sys.argv[3].encode(), "", "")
witness.close()
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("innocent", "guilty"):
        (tmp_path / "models" / name).mkdir(parents=True)
    return tmp_path / "models"


def worker(folder: Path, models: Path, body: str) -> int:
    """A process that predicts with both, and once more with the second; its exit code."""
    found = subprocess.run(
        [sys.executable, "-c", WORKER, str(folder), str(models), body], check=False, timeout=60
    )
    return found.returncode


def test_the_model_that_a_worker_fell_with_is_marked(tmp_path: Path, models: Path) -> None:
    assert worker(tmp_path / "notes", models, "fall") == -signal.SIGSEGV
    assert mark_what_crashed(tmp_path / "notes") == [models / "guilty"]
    assert "Segmentation fault" in crashed(models / "guilty")
    assert crashed(models / "innocent") == ""
    assert list((tmp_path / "notes").iterdir()) == [], "nothing is told twice"


@pytest.mark.parametrize(("body", "code"), [("be killed", -signal.SIGKILL), ("2", 0)])
def test_a_worker_that_was_killed_or_ended_in_order_accuses_no_model(
    body: str, code: int, tmp_path: Path, models: Path
) -> None:
    assert worker(tmp_path / "notes", models, body) == code
    assert mark_what_crashed(tmp_path / "notes") == []
    assert crashed(models / "guilty") == ""
    assert list((tmp_path / "notes").iterdir()) == []


def test_a_worker_that_lives_is_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / f"{os.getpid()}.trace").write_text("Fatal Python error")
    assert mark_what_crashed(notes) == []
    assert (notes / f"{os.getpid()}.trace").exists()


def test_without_a_file_nothing_is_noted_and_predictions_go_on(tmp_path: Path) -> None:
    class Model:
        def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
            return body, content_type

    assert Noted(Model(), tmp_path).invoke(b"1", "text/csv", "") == (b"1", "text/csv")
    Witness().close()
    with witness.noting(tmp_path):
        pass
