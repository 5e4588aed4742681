"""Kept models: whole or not at all, on the disk before they are relied on, and nothing left of those who were killed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from colonnade.serving.artifacts import Artifacts, KeptContent


@pytest.fixture
def content(tmp_path: Path) -> KeptContent:
    path = tmp_path / "source"
    path.write_bytes(b"model")
    return KeptContent(None, path)  # type: ignore[arg-type] # nobody asks for the info


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What fsync was called for, by path."""
    paths: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - a link to what is no file anywhere
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_what_a_killed_process_left_half_made_goes_at_the_next_start(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "tmpfolder").mkdir(parents=True)
    (models / "tmpfolder" / "model.onnx").touch()
    (models / "tmpfile").touch()
    (models / "abc").mkdir()

    Artifacts(models)

    assert [path.name for path in models.iterdir()] == ["abc"]


def test_a_kept_archive_and_what_was_compiled_from_it_are_on_the_disk(
    tmp_path: Path, content: KeptContent, synced: list[str]
) -> None:
    artifacts = Artifacts(tmp_path / "models")

    digest = artifacts.keep(content)
    compiled = artifacts.keep_compiled(digest, "xgboost", {"model.onnx": io.BytesIO(b"onnx")})

    folder = artifacts.folder(digest)
    assert {str(folder), str(tmp_path / "models")} <= set(synced)
    assert [Path(path).name for path in synced].count("model.onnx") == 1
    assert (compiled / "model.onnx").read_bytes() == b"onnx"
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [digest]


def test_a_refusal_is_there_as_a_whole(tmp_path: Path, content: KeptContent) -> None:
    artifacts = Artifacts(tmp_path / "models")
    digest = artifacts.keep(content)

    artifacts.keep_refusal(digest, "xgboost", "no model")

    assert artifacts.refusal(digest, "xgboost") == "no model"
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [digest]
