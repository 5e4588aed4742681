"""The folder's lock decides who serves; those who only look at it never stand in a server's way."""

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from colonnade.settings import Settings
from colonnade.supervisor import folder
from colonnade.supervisor.folder import FolderError, ServerRecord


def test_the_holder_is_known_while_it_holds_and_forgotten_after(tmp_path: Path) -> None:
    with folder.locked(tmp_path):
        assert folder.holder(tmp_path) == os.getpid()

    assert folder.holder(tmp_path) is None
    assert (tmp_path / "server.lock").read_text() == ""


def test_a_refused_claim_leaves_the_holders_pid_alone(tmp_path: Path) -> None:
    with folder.locked(tmp_path):
        with (
            pytest.raises(FolderError, match=f"process {os.getpid()} already serves"),
            folder.locked(tmp_path),
        ):
            pass

        assert folder.holder(tmp_path) == os.getpid()


def test_a_claim_waits_for_somebody_who_only_looks(tmp_path: Path) -> None:
    with folder.locked(tmp_path):
        pass
    looking = os.open(tmp_path / "server.lock", os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert folder.holder(tmp_path) is None, "one who looks is no server"
    release = threading.Timer(0.1, os.close, (looking,))
    release.start()

    with folder.locked(tmp_path):
        assert folder.holder(tmp_path) == os.getpid()
    release.join()


def test_a_record_without_the_lock_is_stale(tmp_path: Path) -> None:
    with folder.locked(tmp_path):
        folder.write(tmp_path, ServerRecord.of(Settings(data=tmp_path, port=1)))
        running = folder.running(tmp_path)
        assert running is not None
        assert running.url == "http://127.0.0.1:1"

    assert folder.running(tmp_path) is None


def test_a_record_of_an_earlier_server_does_not_speak_for_a_starting_one(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "server.json").write_text('{"pid": 1, "host": "h", "port": 1, "started": 1.0}')

    with folder.locked(tmp_path):
        assert folder.running(tmp_path) is None


def test_a_refusal_does_not_take_long(tmp_path: Path) -> None:
    with folder.locked(tmp_path):
        start = time.monotonic()
        with pytest.raises(FolderError), folder.locked(tmp_path):
            pass

    assert time.monotonic() - start < 30
