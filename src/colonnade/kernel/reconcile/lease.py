"""Who leads: a row with a holder, an end and a fencing token that grows with each change of hands.

Real time, not the platform's clock: this is process supervision. A holder on this machine whose process is gone is
succeeded at once, so that a restart after kill -9 does not wait for the lease to run out.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from colonnade.kernel.store import Document, Key, Store

_KEY = Key("", "", "", "colonnade", "lease", "leader")
DURATION = 10.0


def holder() -> str:
    """This process, told apart from a later one with the same pid by its start time."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def acquire(store: Store, me: str, *, duration: float = DURATION) -> int | None:
    """The fencing token when the lease is ours now, None while somebody else lives and leads."""
    now = time.time()
    with store.write() as transaction:
        row = transaction.get(_KEY)
        held: Document = row.document if row else {"holder": "", "until": 0.0, "token": 0}
        if held["holder"] not in ("", me) and held["until"] > now and not is_gone(held["holder"]):
            return None
        token = held["token"] + (held["holder"] != me)
        transaction.put(_KEY, {"holder": me, "until": now + duration, "token": token}, at=now)
    return int(token)


def release(store: Store, me: str) -> None:
    now = time.time()
    with store.write() as transaction:
        row = transaction.get(_KEY)
        if row and row.document["holder"] == me:
            transaction.put(_KEY, {**row.document, "holder": "", "until": now}, at=now)


def is_gone(other: str) -> bool:
    """Whether a `holder` of this machine has ended."""
    host, pid, started = other.rsplit("/", 2)
    return host == socket.gethostname() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """The process's start in clock ticks since boot (proc_pid_stat(5), field 22); empty when there is none, or only a
    zombie that nobody collects (in containers whose first process does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
