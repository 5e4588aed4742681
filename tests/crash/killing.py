"""Which processes belong to a server, and how to end them without asking."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from colonnade.testing.server import Server


@dataclass(frozen=True, slots=True)
class Found:
    pid: int
    work: str
    """The id of the work that it is part of; empty for a process of the server itself."""
    runner: bool
    text: str


def processes(data: Path) -> Iterator[Found]:
    """Every process of this machine that has to do with a data folder, by its command line, its folder or its environment."""
    works = data / "work" / "works"
    marked = re.compile(rb"COLONNADE_WORK=([a-z0-9-]+)\." + _digest(works).encode())
    named = re.compile(re.escape(f"{works}/") + "([a-z0-9-]+)")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = str((folder / "cwd").readlink())
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # gone, or nothing but a zombie
        by_name, by_mark = named.search(f"{command} {place}"), marked.search(environment)
        work = by_name.group(1) if by_name else by_mark.group(1).decode() if by_mark else ""
        if work or str(data) in command or place.startswith(str(data)):
            yield Found(int(folder.name), work, "process.runner" in command, f"{command} in {place}")


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_a_part(server: Server, draw: random.Random) -> str:
    """One of the server's children, or a replica; its supervisor or reconciler has to replace it."""
    parts = {name: [pid] for name, pid in server.pids().items() if pid}
    replicas = [each.pid for each in processes(server.data) if each.work.startswith("endpoint-")]
    chosen = draw.choice([*sorted(parts), "replica"])
    kill(parts.get(chosen, replicas))
    return chosen


def kill_all(server: Server, draw: random.Random, *, runners: bool) -> set[str]:
    """The whole server, in any order; with it, where told so, all runners. Answers the works whose runner was killed."""
    pids = [server.process.pid, *(pid for pid in server.pids().values() if pid)]
    draw.shuffle(pids)
    doomed = [each for each in processes(server.data) if each.runner] if runners else []
    kill([*pids, *(each.pid for each in doomed)])
    server.process.wait(60)
    return {each.work for each in doomed}


def _digest(works: Path) -> str:
    """How the executor tells its own works from another server's with the same ids."""
    return hashlib.sha256(str(works).encode()).hexdigest()[:16]
