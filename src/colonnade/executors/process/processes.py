"""Processes and their ends: nothing that a work started may outlive it, and a work never outlives its runner.

Linux's own means through ctypes: a runner is the reaper of all its orphaned descendants (so that a daemon which left the
group is still found), and a command dies with its runner. Elsewhere the process group has to do.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

FIRST_USER = 200_000
"""Works under root get user ids from here on: above what distributions give to people and services."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option})")


def adopt_orphans() -> None:
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Be killed when the parent is. Forgotten by the kernel at a change of user, so asked for after that."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def gain_no_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def take_no_more_than(memory: int | None) -> None:
    """Bound what this process, and each that it starts, may ask for; and be the first to go when the machine has no more."""
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def signal_group(leader: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def kill_descendants() -> None:
    """Kill and reap all children of this process, and those that fall to it as they die."""
    while children := _children(os.getpid()):
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def kill_user(uid: int) -> None:
    """Kill all that a work's own user runs, in one call that nothing can outrun."""
    if uid < FIRST_USER:
        raise ValueError(f"user {uid} is no work's own: those begin at {FIRST_USER}")
    subprocess.run(
        ["/bin/sh", "-c", "kill -9 -1"], user=uid, group=uid, extra_groups=[], cwd="/", check=False, env={},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _children(parent: int) -> list[int]:
    return [pid for pid in _all() if _stat(pid)[1:2] == [str(parent)]]


def started_at(pid: int) -> str:
    """The kernel's start time of a process: with the pid it names it for good. Empty when there is none."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def kill_marked(mark: str) -> None:
    """Kill every process whose environment began with `mark`: what a killed runner left behind."""
    wanted = mark.encode()
    for pid in _all():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _all() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - speed
    except FileNotFoundError:
        return []


def _stat(pid: int) -> list[str]:
    """Fields from the state on; the name before it may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
