"""How replicas notice that their server has gone: it holds a lock on a file for as long as it lives."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path


class Lifeline:
    def __init__(self, path: str, patience: float) -> None:
        """`path`: the file that the server keeps locked; empty for work that does not depend on it."""
        self._path, self._patience = path, patience
        self._due = 0.0
        self._lost: float | None = None

    def is_lost(self) -> bool:
        """Whether the lock has been free for `patience` seconds. Ask as often as you like."""
        now = time.monotonic()
        if not self._path or now < self._due:
            return False
        # Looked at seldom, since a starting server must not find the lock in our hands.
        self._due = now + self._patience / 10
        if _is_held(Path(self._path)):
            self._lost = None
            return False
        self._lost = self._lost or now
        return now - self._lost >= self._patience


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
