from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from colonnade.objects import PIECE, ObjectStore, load
from colonnade.objects.filesystem import FilesystemObjects
from colonnade.testing.objects import ObjectsContract, content


@pytest.fixture(params=[True, False], ids=["durable", "not durable"])
def objects(tmp_path: Path, request: pytest.FixtureRequest) -> ObjectStore:
    return FilesystemObjects(tmp_path / "objects", durable=request.param)


class TestFilesystemObjects(ObjectsContract):
    pass


def test_it_is_found_by_name() -> None:
    assert load("filesystem") is FilesystemObjects


def test_another_process_or_life_finds_the_same_content(tmp_path: Path) -> None:
    blob = FilesystemObjects(tmp_path).write([b"kept"])
    assert content(FilesystemObjects(tmp_path), blob.id) == b"kept"


def test_file_and_folder_are_synced_before_a_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = FilesystemObjects(tmp_path)
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real(fd))
    )

    blob = objects.write([b"x"])

    path = objects.path(blob.id)
    assert path is not None
    assert synced == [str(path), str(path.parent)]


def test_strangers_cannot_reach_the_files_and_nobody_may_write_them(tmp_path: Path) -> None:
    objects = FilesystemObjects(tmp_path / "objects")
    path = objects.path(objects.write([b"secret"]).id)
    assert path is not None
    assert path.parent.stat().st_mode & 0o077 == 0
    assert path.stat().st_mode & 0o777 == 0o444


def test_joining_works_where_the_kernel_cannot_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "cross-device")

    objects = FilesystemObjects(tmp_path)
    parts = [objects.write([b"a" * (2 * PIECE + 1)]), objects.write([b"b"])]
    monkeypatch.setattr(os, "copy_file_range", refuse)

    assert content(objects, objects.join([part.id for part in parts]).id) == b"a" * (2 * PIECE + 1) + b"b"


def test_a_file_that_was_cut_is_not_passed_off_as_whole(tmp_path: Path) -> None:
    objects = FilesystemObjects(tmp_path)
    blob = objects.write([b"x" * 100])
    reading = objects.open(blob.id)
    path = objects.path(blob.id)
    assert path is not None
    path.chmod(0o600)
    os.truncate(path, 10)

    with pytest.raises(OSError, match="90 bytes early"):
        b"".join(reading)
