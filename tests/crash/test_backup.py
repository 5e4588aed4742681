"""`colonnade backup` while users write, `colonnade restore` elsewhere: what was acknowledged before is there, and whole."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from colonnade.kernel.store.sqlite import SqliteStore
from colonnade.testing.server import Server, running
from crash.world import digest
from journeys.team import wait_for


def colonnade(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "colonnade", *(str(each) for each in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("backup") / "data", "--workers", "1") as server:
        yield server


@pytest.fixture(scope="module")
def backed_up(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A backup made while objects were replaced and deleted all the time, and what had been acknowledged before it."""
    s3, logs = server.client("s3"), server.client("logs")
    s3.create_bucket(Bucket="kept")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    logs.put_log_events(
        logGroupName="g",
        logStreamName="s",
        logEvents=[{"timestamp": now(), "message": f"line {n}"} for n in range(50)],
    )
    acknowledged = {}
    for number in range(60):
        body = random.Random(number).randbytes(3000 if number % 2 else 30_000)
        encrypted = {"ServerSideEncryption": ("AES256", "aws:kms")[number % 2]} if number % 3 == 0 else {}
        s3.put_object(Bucket="kept", Key=f"still/{number:02d}", Body=body, **encrypted)
        acknowledged[f"still/{number:02d}"] = digest(body)
    target = tmp_path_factory.mktemp("elsewhere") / "colonnade.tar.gz"
    with replacing(server) as turns:
        wait_for(lambda: len(turns), lambda count: count > 5)
        done = colonnade("backup", target, "--data", server.data)
        seen = len(turns)
        wait_for(lambda: len(turns), lambda count: count > seen)
    assert done.returncode == 0, done.stderr
    return target, acknowledged


class replacing:  # noqa: N801 - used as a function
    """Users who replace and delete the same few objects, so that blobs come and go under the backup's hands."""

    def __init__(self, server: Server) -> None:
        self._s3 = server.client("s3")
        self._turns: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> list[int]:
        self._thread.start()
        return self._turns

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        number = 0
        while not self._over.is_set():
            key = f"restless/{number % 5}"
            self._s3.put_object(Bucket="kept", Key=key, Body=f"{key}:{number}".encode() * 2000)
            if number % 7 == 0:
                self._s3.delete_object(Bucket="kept", Key=key)
            self._turns.append(number)
            number += 1


def now() -> int:
    return int(time.time() * 1000)


def test_a_restored_server_has_what_was_acknowledged_and_every_keys_bytes(
    backed_up: tuple[Path, dict[str, str]], server: Server, tmp_path: Path
) -> None:
    target, acknowledged = backed_up
    data = tmp_path / "restored"

    done = colonnade("restore", target, "--data", data)

    assert done.returncode == 0, done.stderr
    with running(data, "--workers", "1") as restored:
        assert restored.access_key_id == server.access_key_id
        s3 = restored.client("s3")
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket="kept")["Contents"]]
        bodies = {key: s3.get_object(Bucket="kept", Key=key)["Body"].read() for key in keys}
        events = restored.client("logs").get_log_events(
            logGroupName="g", logStreamName="s", startFromHead=True
        )
        s3.put_object(Bucket="kept", Key="after", Body=b"it goes on")
    assert acknowledged.items() <= {key: digest(body) for key, body in bodies.items()}.items()
    restless = {key: body for key, body in bodies.items() if key.startswith("restless/")}
    assert restless
    for key, body in restless.items():
        assert body == body[: len(body) // 1000] * 1000, "one whole version of it"
        assert body.startswith(f"{key}:".encode())
    assert [event["message"] for event in events["events"]] == [f"line {n}" for n in range(50)]


def test_what_holds_secrets_is_for_its_owner_only(
    backed_up: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    target, _ = backed_up
    data = tmp_path / "restored"
    assert colonnade("restore", target, "--data", data).returncode == 0

    assert target.stat().st_mode & 0o077 == 0
    assert data.stat().st_mode & 0o077 == 0
    for name in ("store.db", "credentials.json", "master.key"):
        assert (data / name).stat().st_mode & 0o077 == 0, name
    assert not list(target.parent.glob(".*")), "no draft is left"


def test_a_backup_leaves_nothing_in_the_data_folder(
    backed_up: tuple[Path, dict[str, str]], server: Server
) -> None:
    assert not (server.data / "backup").exists()
    links = {path.stat().st_nlink for path in (server.data / "objects").glob("*/*")}
    assert links == {1}


def test_nothing_is_overwritten(
    backed_up: tuple[Path, dict[str, str]], server: Server, tmp_path: Path
) -> None:
    target, _ = backed_up
    (tmp_path / "something").touch()

    restored = colonnade("restore", target, "--data", tmp_path)
    made = colonnade("backup", target, "--data", server.data)

    assert restored.returncode == 1
    assert "is not empty, and nothing is overwritten" in restored.stderr
    assert made.returncode == 1
    assert "exists already" in made.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_a_folder_without_a_store_is_no_backup(tmp_path: Path) -> None:
    done = colonnade("backup", tmp_path / "b.tar.gz", "--data", tmp_path)
    assert done.returncode == 1
    assert "holds no data of a server" in done.stderr


def test_a_backup_that_was_cut_short_restores_nothing(
    backed_up: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    whole = backed_up[0].read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole[: len(whole) // 2])

    done = colonnade("restore", cut, "--data", tmp_path / "data")

    assert done.returncode == 1
    assert "cannot be restored" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.tar.gz"]


def test_a_changed_byte_in_a_backup_is_found(backed_up: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    plain = bytearray(gzip.decompress(backed_up[0].read_bytes()))
    place = plain.index(b"line 25")
    plain[place : place + 7] = b"line 99"
    changed = tmp_path / "changed.tar.gz"
    changed.write_bytes(gzip.compress(bytes(plain), 1))

    done = colonnade("restore", changed, "--data", tmp_path / "data")

    assert done.returncode == 1
    assert "1 of its files are damaged or missing, the first is logs/" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "objects/../../outside"])
def test_a_member_that_would_lie_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    made = tmp_path / "made.tar.gz"
    with tarfile.open(made, "w:gz") as archive:
        for member, text in (("manifest.json", json.dumps({"format": 1})), (name, "x")):
            entry = tarfile.TarInfo(member)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))

    done = colonnade("restore", made, "--data", tmp_path / "data")

    assert done.returncode == 1
    assert "has no place in a data folder" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.tar.gz"]


def test_a_backup_of_a_newer_release_names_it(tmp_path: Path) -> None:
    made = tmp_path / "made.tar.gz"
    text = json.dumps({"format": 99, "version": "9.9"})
    with tarfile.open(made, "w:gz") as archive:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))

    done = colonnade("restore", made, "--data", tmp_path / "data")

    assert done.returncode == 1
    assert "Colonnade 9.9 wrote it" in done.stderr


def test_a_stopped_servers_folder_is_backed_up_too_and_missing_bytes_are_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "--workers", "1") as server:
        server.client("s3").create_bucket(Bucket="kept")
        server.client("s3").put_object(Bucket="kept", Key="k", Body=b"x" * 100_000)
    assert colonnade("backup", tmp_path / "good.tar.gz", "--data", data).returncode == 0
    (blob,) = (data / "objects").glob("*/*")
    blob.unlink()

    done = colonnade("backup", tmp_path / "bad.tar.gz", "--data", data)

    assert done.returncode == 1
    assert f"{blob.name} of an object are missing" in done.stderr
    assert not (tmp_path / "bad.tar.gz").exists()
    with closing(SqliteStore(data / "store.db")):
        pass  # the folder was not hurt by it
