"""Several at once on one key: whole objects only, one winner, no bytes left over."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import pytest

from cloud.s3.doubles import S3
from colonnade.cloud.s3 import multipart
from colonnade.cloud.s3.content import SMALL
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.store.memory import MemoryStore
from colonnade.objects import ObjectStore
from colonnade.objects.filesystem import FilesystemObjects
from colonnade.testing.store import run_together


@pytest.fixture
def folder(platform: Platform, tmp_path: Path) -> Path:
    platform.provide(ObjectStore, FilesystemObjects(tmp_path, durable=False))
    return tmp_path


def left(folder: Path, platform: Platform) -> int:
    """How many objects' bytes there are: files, and contents of the store, but for those that it only keeps until its next
    commit, since somebody was still reading."""
    assert isinstance(platform.store, MemoryStore)
    contents = [content for content in platform.store._contents.values() if content.until == inf]
    return len([path for path in folder.rglob("*") if path.is_file()]) + len(contents)


def outcomes(s3: S3, name: str, count: int, **parameters: Any) -> list[str]:
    """What so many calls at once end in."""
    codes: list[str] = []

    def call() -> None:
        try:
            s3(name, **parameters)
        except ServiceError as error:
            codes.append(error.code)
        else:
            codes.append("OK")

    run_together(call, threads=count)
    return codes


def test_readers_get_whole_objects_while_writers_replace_them(
    s3: S3, a_bucket: str, folder: Path, platform: Platform
) -> None:
    sizes = (5000, SMALL, SMALL + 1, 50_000)
    s3("PutObject", Bucket=a_bucket, Key="k", Body=b"0" * 5000)

    def write(digit: int) -> None:
        for turn in range(40):
            s3("PutObject", Bucket=a_bucket, Key="k", Body=str(digit).encode() * sizes[turn % len(sizes)])

    def read() -> None:
        for _ in range(150):
            body = s3("GetObject", Bucket=a_bucket, Key="k")["Body"]
            assert len(body) in sizes
            assert len(set(body)) == 1

    run_together(read, read, *(lambda digit=digit: write(digit) for digit in range(1, 4)))
    assert left(folder, platform) == 1


@pytest.mark.parametrize("size", [1, SMALL + 1])
def test_of_those_who_create_only_if_absent_one_wins(
    s3: S3, a_bucket: str, folder: Path, platform: Platform, size: int
) -> None:
    codes = outcomes(s3, "PutObject", 8, Bucket=a_bucket, Key="k", Body=b"x" * size, IfNoneMatch="*")
    assert sorted(codes) == ["OK", *["PreconditionFailed"] * 7]
    assert left(folder, platform) == 1


def test_of_those_who_complete_an_upload_one_wins(
    s3: S3, a_bucket: str, folder: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "LEAST", 1)
    upload = s3("CreateMultipartUpload", Bucket=a_bucket, Key="k")["UploadId"]
    target = {"Bucket": a_bucket, "Key": "k", "UploadId": upload}
    parts = [
        {"PartNumber": number, **s3("UploadPart", **target, PartNumber=number, Body=bytes([number]) * 100)}
        for number in (1, 2)
    ]
    codes = outcomes(s3, "CompleteMultipartUpload", 6, **target, MultipartUpload={"Parts": parts})
    assert codes.count("OK") == 1
    assert set(codes) <= {"OK", "NoSuchUpload"}
    assert s3("GetObject", Bucket=a_bucket, Key="k")["Body"] == b"\1" * 100 + b"\2" * 100
    assert left(folder, platform) == 1
