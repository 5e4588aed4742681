from __future__ import annotations

from pathlib import Path

import pytest

from colonnade.credentials import CredentialsError, master_key
from colonnade.settings import Settings


def test_the_master_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    master_key.settle(settings)

    key = master_key.read(settings)
    master_key.settle(settings)

    assert len(key) == 32
    assert master_key.read(settings) == key
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert key.hex() not in (tmp_path / "master-key.fingerprint").read_text()


def test_the_master_key_may_lie_elsewhere(tmp_path: Path) -> None:
    data, safe = tmp_path / "data", tmp_path / "safe"
    data.mkdir()
    safe.mkdir()
    settings = Settings(data=data, master_key_file=safe / "key")

    master_key.settle(settings)

    assert (safe / "key").exists()
    assert not (data / "master.key").exists()


@pytest.mark.parametrize("change", ["missing", "another"])
def test_a_start_without_the_master_key_that_was_is_refused(tmp_path: Path, change: str) -> None:
    settings = Settings(data=tmp_path)
    master_key.settle(settings)
    path = master_key.place(settings)
    if change == "missing":
        path.unlink()
    else:
        path.write_text("00" * 32)

    with pytest.raises(CredentialsError, match=str(path)):
        master_key.settle(settings)


@pytest.mark.parametrize("content", ["no hex", "00"])
def test_a_damaged_master_key_is_refused(tmp_path: Path, content: str) -> None:
    settings = Settings(data=tmp_path)
    master_key.settle(settings)
    master_key.place(settings).write_text(content)

    with pytest.raises(CredentialsError, match="restore it"):
        master_key.read(settings)


def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    master_key.settle(settings)
    master_key.place(settings).chmod(0o640)

    with pytest.raises(CredentialsError, match="chmod 600"):
        master_key.read(settings)
