"""What a work's folder holds, and the two ways of touching it that caller and runner share: atomic JSON and the lock.

The lock is the truth about the runner: whoever starts it takes the lock and hands the open file over, so it is held from
the first moment until the runner is gone, however it went. State without a held lock and without an end means: killed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any


class WorkFolder:
    """Paths only; nothing is made by asking."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ml = path / "ml"
        """The folder that the work sees as `/opt/ml`."""
        self.environment = path / "env"
        self.temporary = path / "tmp"
        self.spool = path / "spool"
        """Bytes of inputs that only the caller could read."""
        self.specification = path / "work.json"
        self.state = path / "state.json"
        self.lock = path / "lock"
        self.log = path / "log"
        self.metrics = path / "metrics.jsonl"
        self.stop = path / "stop"


def write_json(path: Path, value: Mapping[str, Any], *, durable: bool = False) -> None:
    """Whole or not at all, also for a reader at this moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    temporary.replace(path)
    if durable:
        _sync_folder(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return value


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def take_lock(path: Path, *, shared: bool = False) -> int | None:
    """An open descriptor that holds the lock, or None when somebody else does. Raises FileNotFoundError without a folder."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_locked(path: Path) -> bool:
    try:
        descriptor = take_lock(path, shared=True) if path.exists() else -1
    except FileNotFoundError:
        return False  # forgotten in between
    if descriptor == -1:
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def below(root: Path, relative: str) -> Path:
    """The path of a contract's file. Raises ValueError for one that would leave the folder."""
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\0" in relative:
        raise ValueError(f"{relative!r} is not a path below the work's folder")
    return root.joinpath(*parts)
