"""What a work left, to S3: as one gzipped tar archive, or file by file (semantics 1.11)."""

from __future__ import annotations

import tarfile
import tempfile
from typing import BinaryIO, cast

from colonnade.executors import Executor
from colonnade.jobs.locations import Location
from colonnade.kernel.ports import Principal, Storage


def upload_archive(
    executor: Executor,
    work_id: str,
    folder: str,
    storage: Storage,
    role: Principal,
    target: Location,
    *,
    kms_key_id: str = "",
) -> None:
    """The folder's files as `target`, a .tar.gz whose members are relative to the folder; under a KMS key where one is named."""
    with tempfile.TemporaryFile() as archive:
        _write(executor, work_id, folder, cast(BinaryIO, archive))
        archive.seek(0)
        storage.write(
            role,
            target.bucket,
            target.key,
            cast(BinaryIO, archive),
            content_type="application/x-tar",
            kms_key_id=kms_key_id,
        )


def _write(executor: Executor, work_id: str, folder: str, sink: BinaryIO) -> None:
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=6) as archive:
        for output in executor.outputs(work_id, folder):
            member = tarfile.TarInfo(output.path)
            member.size, member.mtime, member.mode = output.size, int(output.modified), output.mode & 0o777
            with executor.open(work_id, f"{folder}/{output.path}") as file:
                archive.addfile(member, file)


def upload_files(
    executor: Executor,
    work_id: str,
    folder: str,
    storage: Storage,
    role: Principal,
    target: Location,
    *,
    kms_key_id: str = "",
) -> None:
    """The folder's files, each under its own name below `target`."""
    for output in executor.outputs(work_id, folder):
        place = target.below(output.path)
        with executor.open(work_id, f"{folder}/{output.path}") as file:
            storage.write(role, place.bucket, place.key, file, kms_key_id=kms_key_id)
