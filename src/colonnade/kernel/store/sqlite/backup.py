"""A consistent copy of the store while servers write to it, and of what lies beside it under names that the store gives.

Called by `colonnade backup`. The copy is of one instant; whatever must be held fast at exactly that instant is done by the
caller while nobody writes, so it must be quick.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from colonnade.kernel.store.sqlite import format
from colonnade.kernel.store.sqlite.turns import Turns


def copy(path: Path, target: Path, while_nobody_writes: Callable[[], None]) -> None:
    turns = Turns(path)
    try:
        with closing(format.connect(path)) as connection:
            with turns.alone():
                connection.execute("BEGIN")
                # From the first look on it sees this instant.
                connection.execute("SELECT 1 FROM scopes LIMIT 1").fetchone()
                while_nobody_writes()
            format.copy_whole(connection, target)
            connection.execute("COMMIT")
    finally:
        turns.close()
