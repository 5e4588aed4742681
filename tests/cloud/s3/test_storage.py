from __future__ import annotations

import io
from pathlib import Path

import pytest

from cloud.s3.doubles import ROOT, S3, STRANGER, ListedPrincipals
from colonnade.cloud.s3.content import SMALL
from colonnade.cloud.s3.storage import S3Storage
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.objects import PIECE, ObjectStore
from colonnade.objects.filesystem import FilesystemObjects


@pytest.fixture
def storage(platform: Platform, a_bucket: str) -> S3Storage:
    return S3Storage(platform)


def test_what_is_written_is_read_listed_and_deleted(storage: S3Storage, s3: S3) -> None:
    info = storage.write(ROOT, "bucket", "in/a", io.BytesIO(b"data"), content_type="text/csv")
    storage.write(ROOT, "bucket", "in/b", io.BytesIO(b""))
    storage.write(ROOT, "bucket", "out", io.BytesIO(b""))

    content = storage.read(ROOT, "bucket", "in/a")
    with content.open() as file:
        assert file.read() == b"data"
    assert content.info == info
    assert (info.size, info.etag) == (4, "8d777f385d3dfec8815d20f7496026dc")
    assert s3("HeadObject", Bucket="bucket", Key="in/a")["ContentType"] == "text/csv"
    assert [row.key for row in storage.list(ROOT, "bucket", "in/")] == ["in/a", "in/b"]

    storage.delete(ROOT, "bucket", "in/a")
    storage.delete(ROOT, "bucket", "in/a")
    assert [row.key for row in storage.list(ROOT, "bucket", "in/")] == ["in/b"]


def test_large_content_is_read_in_pieces(storage: S3Storage) -> None:
    data = bytes(range(256)) * (PIECE // 100)
    storage.write(ROOT, "bucket", "k", io.BytesIO(data))
    with storage.read(ROOT, "bucket", "k").open() as file:
        assert file.read(3) == data[:3]
        assert file.readline() == data[3:11]
        assert file.read() == data[11:]


def test_files_are_given_by_their_path(storage: S3Storage, platform: Platform, tmp_path: Path) -> None:
    platform.provide(ObjectStore, FilesystemObjects(tmp_path, durable=False))
    data = b"x" * (SMALL + 1)
    storage.write(ROOT, "bucket", "k", io.BytesIO(data))
    storage.write(ROOT, "bucket", "small", io.BytesIO(b"data"))

    path = storage.read(ROOT, "bucket", "k").local_path
    assert path is not None
    assert path.read_bytes() == data
    assert storage.read(ROOT, "bucket", "small").local_path is None, "its bytes lie in the store"


@pytest.mark.parametrize("size", [1, SMALL + 1])
def test_what_was_replaced_since_it_was_looked_up_is_told(storage: S3Storage, size: int) -> None:
    storage.write(ROOT, "bucket", "k", io.BytesIO(b"1" * size))
    content = storage.read(ROOT, "bucket", "k")
    storage.write(ROOT, "bucket", "k", io.BytesIO(b"2" * size))

    with pytest.raises(ServiceError) as caught:
        content.open()
    assert caught.value.code == "NoSuchKey"


def test_refusals_carry_s3s_codes_and_come_at_once(storage: S3Storage) -> None:
    for code, act in {
        "NoSuchKey": lambda: storage.read(ROOT, "bucket", "missing"),
        "NoSuchBucket": lambda: storage.list(ROOT, "nowhere", ""),
        "AccessDenied": lambda: storage.read(STRANGER, "bucket", "missing"),
    }.items():
        with pytest.raises(ServiceError) as caught:
            act()
        assert caught.value.code == code


def test_the_role_needs_the_permission(storage: S3Storage, principals: ListedPrincipals) -> None:
    storage.write(ROOT, "bucket", "k", io.BytesIO(b"data"))
    arn = "arn:aws:s3:::bucket"
    for need, act in (
        (("s3:GetObject", f"{arn}/k"), lambda: storage.read(ROOT, "bucket", "k")),
        (("s3:PutObject", f"{arn}/k"), lambda: storage.write(ROOT, "bucket", "k", io.BytesIO(b"new"))),
        (("s3:DeleteObject", f"{arn}/k"), lambda: storage.delete(ROOT, "bucket", "k")),
        (("s3:ListBucket", arn), lambda: storage.list(ROOT, "bucket", "")),
    ):
        principals.denied = {need}
        with pytest.raises(ServiceError, match="AccessDenied"):
            act()
    principals.denied = set()
    with storage.read(ROOT, "bucket", "k").open() as file:
        assert file.read() == b"data"


def test_content_that_was_replaced_before_it_was_opened_says_so(storage: S3Storage) -> None:
    storage.write(ROOT, "bucket", "k", io.BytesIO(b"old"))
    content = storage.read(ROOT, "bucket", "k")
    storage.write(ROOT, "bucket", "k", io.BytesIO(b"new"))
    with pytest.raises(ServiceError, match="NoSuchKey"):
        content.open()
