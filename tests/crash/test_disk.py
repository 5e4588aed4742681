"""Disks that are full, read-only or wrong: writes are refused by name, nothing is half there, the rest goes on."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running
from crash.world import ONCE
from journeys.team import wait_for

MANY = 24 << 20
_CLONE_NEWNS = 0x00020000


def may_mount() -> bool:
    """Whether this user may have a mount namespace of his own, and mount in it."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    return (
        subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True
        ).returncode
        == 0
    )


needs_mount = pytest.mark.skipif(
    not may_mount(), reason="needs root, unshare and the right to mount, for a small disk of the test's own"
)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk that this thread and the processes it starts see, and nobody else on the machine."""
    folder.mkdir()
    here = Path.cwd()
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(_CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    try:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
        yield
    finally:
        assert libc.setns(before, _CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
        os.close(before)
        os.chdir(here)  # which coming back has changed to the root


@needs_mount
def test_a_full_disk_refuses_writes_serves_reads_and_recovers(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, MANY), running(disk, "--workers", "1") as server:
        s3, iam = server.client("s3", config=ONCE), server.client("iam", config=ONCE)
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="before", Body=b"before" * 10_000)
        filler = disk / "filler"
        fill(filler)

        refused = refusal(lambda: s3.put_object(Bucket="kept", Key="new", Body=b"x" * 200_000))
        replaced = refusal(lambda: s3.put_object(Bucket="kept", Key="before", Body=b"y" * 200_000))
        users = 0
        while not (told := refusal(partial(iam.create_user, UserName=f"user-{users}"))):
            users += 1  # until the store's own pages are used up

        for error in (refused, replaced):
            assert error["Error"]["Code"] == "InternalError"
            assert "The disk that holds the server's data folder is full" in error["Error"]["Message"]
            assert error["ResponseMetadata"]["HTTPStatusCode"] == 507
        assert "is full" in told["Error"]["Message"]
        assert told["ResponseMetadata"]["HTTPStatusCode"] == 507
        assert s3.get_object(Bucket="kept", Key="before")["Body"].read() == b"before" * 10_000
        assert [found["Key"] for found in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["before"]
        assert len(list((server.data / "objects").glob("*/*"))) == 1, "nothing half-written stays"

        filler.unlink()
        s3.put_object(Bucket="kept", Key="after", Body=b"z" * 200_000)
        names = {user["UserName"] for user in iam.list_users()["Users"]}
        assert names == {f"user-{number}" for number in range(users)}, "refused ones do not exist"
        assert s3.get_object(Bucket="kept", Key="after")["Body"].read() == b"z" * 200_000
        wait_for(lambda: leads(server), bool)  # The leader's lease could not be renewed for a while.


@needs_mount
def test_a_supervisor_survives_a_full_disk_with_children_that_end(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, MANY), running(disk, "--workers", "1") as server:
        server.client("s3").create_bucket(Bucket="kept")
        fill(disk / "filler")
        worker = server.pids()["worker-1"]
        assert worker is not None
        os.kill(worker, 9)

        def served() -> bool:
            try:
                return bool(server.client("s3", config=ONCE).list_buckets()["Buckets"])
            except Exception:  # noqa: BLE001 - the worker is on its way
                return False

        wait_for(served, bool)
        assert server.process.poll() is None


@needs_mount
def test_a_read_only_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, MANY):
        with running(disk, "--workers", "1"):
            pass
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

        command = [sys.executable, "-m", "colonnade", "up", "--port", "0", "--data", str(disk)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert f"the data folder {disk} cannot be used: Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_byte_in_the_store_is_named_with_the_remedy_and_the_rest_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "--workers", "1") as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="kept")
        for key in ("good", "evil", "other"):
            s3.put_object(Bucket="kept", Key=key, Body=key.encode(), Metadata={"mark": f"mark-of-{key}"})
    change_a_byte(data / "store.db", b"mark-of-evil", b"mark-of-evix")

    with running(data, "--workers", "1") as server:
        s3 = server.client("s3", config=ONCE)
        told = refusal(lambda: s3.get_object(Bucket="kept", Key="evil"))
        others = [s3.get_object(Bucket="kept", Key=key)["Body"].read() for key in ("good", "other")]
        s3.put_object(Bucket="kept", Key="new", Body=b"new")

        assert told["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert re.search(r"evil .* does not match its checksum", told["Error"]["Message"])
        assert "Restore a backup of the data folder" in told["Error"]["Message"]
        assert others == [b"good", b"other"]
        assert s3.get_object(Bucket="kept", Key="new")["Body"].read() == b"new"


def test_a_changed_byte_in_a_small_object_is_told_and_not_handed_out(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--workers", "1") as server:
        s3 = server.client("s3", config=ONCE)
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="k", Body=b"good")
        s3.put_object(Bucket="kept", Key="other", Body=b"other")
        with closing(sqlite3.connect(server.data / "store.db")) as store, store:
            store.execute("UPDATE contents SET content = x'65766964' WHERE content = x'676f6f64'")

        told = refusal(lambda: s3.get_object(Bucket="kept", Key="k")["Body"].read())

        assert told["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert "does not match its checksum" in told["Error"]["Message"]
        assert "Restore a backup of the data folder" in told["Error"]["Message"]
        assert s3.get_object(Bucket="kept", Key="other")["Body"].read() == b"other"


def test_a_changed_byte_in_an_object_is_told_and_not_handed_out(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--workers", "1") as server:
        s3 = server.client("s3", config=ONCE)
        s3.create_bucket(Bucket="kept")
        s3.put_object(Bucket="kept", Key="k", Body=b"a" * 100_000)
        (blob,) = (server.data / "objects").glob("*/*")
        blob.chmod(0o644)
        blob.write_bytes(b"a" * 50_000 + b"b" + b"a" * 49_999)

        told = refusal(lambda: s3.get_object(Bucket="kept", Key="k")["Body"].read())

        assert "do not match their checksum" in told["Error"]["Message"]


def test_a_store_of_a_newer_release_is_refused_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "--workers", "1"):
        pass
    with closing(sqlite3.connect(data / "store.db")) as store:
        store.execute("PRAGMA user_version = 999")

    command = [sys.executable, "-m", "colonnade", "up", "--port", "0", "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 1
    assert "has format 999" in done.stderr
    assert "a newer release wrote it" in done.stderr


def refusal(call: Any) -> dict[str, Any]:
    """What the service said; empty when it did as asked."""
    try:
        call()
    except ClientError as error:
        return dict(error.response)
    return {}


def fill(file: Path) -> None:
    """Until the last page of the disk is taken."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(descriptor, b"\0" * 4096):
            pass
    except OSError:
        pass
    finally:
        os.close(descriptor)


def leads(server: Server) -> bool:
    leader = server.pids().get("leader")
    return leader is not None and Path(f"/proc/{leader}").exists()


def change_a_byte(store: Path, before: bytes, after: bytes) -> None:
    """Where it lies in the file, as a failing disk would."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = store.read_bytes()
    assert data.count(before) == 1
    place = data.index(before)
    with store.open("r+b") as file:
        file.seek(place)
        file.write(after)
