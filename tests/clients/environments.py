"""The clients' environments, which `make clients` makes: .clients/NAME from the lock in tests/clients/NAME."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

LOCKS = Path(__file__).parent
MADE = LOCKS.parents[1] / ".clients"


def environment(client: str) -> Path:
    """The folder of the client's environment; where it is missing, the test is skipped and says how to make it."""
    folder = MADE / client
    stamp = folder / ".lock-sha256"
    if not stamp.exists():
        pytest.skip(f"the environment .clients/{client} is missing: run `make clients`")
    (lock,) = [path for path in (LOCKS / client).iterdir() if path.name in LOCK_NAMES]
    if stamp.read_text() != hashlib.sha256(lock.read_bytes()).hexdigest():
        pytest.skip(f"the environment .clients/{client} is older than its lock: run `make clients`")
    return folder


LOCK_NAMES = ("requirements.lock", "package-lock.json")


def path(folder: Path) -> str:
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
