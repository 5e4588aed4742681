"""What an instance type has: the bounds that a user's models are held to, whatever this machine has beyond them.

AWS names its types by family and size; within a family each virtual CPU comes with the same memory. Types of which that is not
known here answer None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MIB_PER_CPU = {"m": 4096, "c": 2048, "r": 8192}
_SIZES = {"medium": 1, "large": 2, "xlarge": 4}
_OTHERS = {
    "ml.t2.medium": (2, 4096),
    "ml.t2.large": (2, 8192),
    "ml.t2.xlarge": (4, 16384),
    "ml.t2.2xlarge": (8, 32768),
    "ml.c4.large": (2, 3840),
    "ml.c4.xlarge": (4, 7680),
    "ml.c4.2xlarge": (8, 15360),
    "ml.c4.4xlarge": (16, 30720),
    "ml.c4.8xlarge": (36, 61440),
    "ml.p2.xlarge": (4, 62464),
    "ml.p3.2xlarge": (8, 62464),
    "ml.p3.8xlarge": (32, 249856),
    "ml.p3.16xlarge": (64, 499712),
}
_ACCELERATED = {"g4dn": 4096, "g5": 4096, "g6": 4096, "g6e": 8192}
"""MiB for each virtual CPU, of families with GPUs."""


@dataclass(frozen=True, slots=True)
class Machine:
    cpus: int
    memory_mib: int

    @property
    def memory_bytes(self) -> int:
        return self.memory_mib << 20


def machine(instance_type: str) -> Machine | None:
    """
    >>> machine("ml.m5.large")
    Machine(cpus=2, memory_mib=8192)
    >>> machine("ml.c5.18xlarge").cpus
    72
    """
    if instance_type in _OTHERS:
        return Machine(*_OTHERS[instance_type])
    match = re.fullmatch(r"ml\.([a-z]+)(\d)([a-z]*)\.(?:(\d+)x|x)?(medium|large)", instance_type)
    if match is None:
        return None
    family, digit, letters, factor, size = match.groups()
    cpus = 4 * int(factor or 1) if "xlarge" in instance_type else _SIZES[size]
    mib = _ACCELERATED.get(f"{family}{digit}{letters}") or _MIB_PER_CPU.get(family)
    return None if mib is None else Machine(cpus, mib * cpus)
