"""One leader at a time; a dead one is succeeded at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from colonnade.kernel.reconcile import lease
from colonnade.kernel.store.sqlite import SqliteStore

LEADER = """
import sys
from pathlib import Path
from colonnade.kernel.reconcile import lease
from colonnade.kernel.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
print(lease.acquire(store, lease.holder(), duration=3600), flush=True)
sys.stdin.read()
"""


def test_the_lease_goes_to_one_and_passes_on_with_a_higher_token(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    me = lease.holder()
    first = lease.acquire(store, me)
    assert first is not None
    assert lease.acquire(store, me) == first, "renewing keeps the token"
    assert lease.acquire(store, "elsewhere/1/1") is None

    lease.release(store, me)

    second = lease.acquire(store, "elsewhere/1/1")
    assert second is not None
    assert second > first
    assert lease.acquire(store, me) is None, "a holder on another machine is believed until its time is up"


def test_a_leader_that_was_killed_is_succeeded_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEADER, str(tmp_path / "store.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        token = int(other.stdout.readline())
        store = SqliteStore(tmp_path / "store.db")
        assert lease.acquire(store, lease.holder()) is None

        other.kill()
        other.wait(timeout=30)

        assert lease.acquire(store, lease.holder()) == token + 1


def test_a_leader_that_only_remains_as_a_zombie_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEADER, str(tmp_path / "store.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        token = int(other.stdout.readline())
        store = SqliteStore(tmp_path / "store.db")

        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)

        assert lease.acquire(store, lease.holder()) == token + 1
