"""What a tree of processes holds in memory: PSS, which counts a shared page once in all."""

from __future__ import annotations

from pathlib import Path


def tree(pid: int) -> list[int]:
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += tree(int(child))
    return found


def pss_mib(pid: int) -> float:
    """Of a process and all below it."""
    total = 0
    for process in tree(pid):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
