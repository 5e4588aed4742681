"""The compiled models of multi-model endpoints in this worker's memory; the least recently used go when there is no room.

Counted by a model's size, as measured with onnxruntime: a session takes some 80 KB and 8 bytes for each of its file. One per
worker, used on its event loop only.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from colonnade.serving.instances import Slot

_BASE, _FACTOR = 80_000, 8
_SHARE = 4
"""The part of this machine's memory that all of a worker's shelf may take: one in so many."""


def weight(folder: Path) -> int:
    """Bytes of memory that a compiled model will take."""
    return _BASE + _FACTOR * (folder / "model.onnx").stat().st_size


class Shelf:
    def __init__(self, limit: int = 0) -> None:
        self._limit = limit or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _SHARE
        self._models: OrderedDict[tuple[int, str], tuple[Slot, int]] = OrderedDict()
        """By container and target; the least recently used first."""
        self._taken: dict[int, int] = {}
        """Bytes by container."""
        self._counts: dict[int, int] = {}

    def get(self, container: int, target: str) -> Slot | None:
        found = self._models.get((container, target))
        if found is None:
            return None
        self._models.move_to_end((container, target))
        return found[0]

    def put(self, container: int, target: str, slot: Slot, size: int, bound: int) -> list[int]:
        """Of which containers models had to go: for this one's `bound` of bytes only its own, for the whole shelf's anybody's."""
        self.drop(container, target)
        gone = []
        while self._taken.get(container, 0) + size > bound and self._taken.get(container, 0):
            gone.append(self._let_go(lambda key: key[0] == container))
        while self._models and sum(self._taken.values()) + size > self._limit:
            gone.append(self._let_go(lambda key: True))
        self._models[container, target] = (slot, size)
        self._taken[container] = self._taken.get(container, 0) + size
        self._counts[container] = self._counts.get(container, 0) + 1
        return gone

    def _let_go(self, concerns: Callable[[tuple[int, str]], bool]) -> int:
        container, target = next(key for key in self._models if concerns(key))
        self.drop(container, target)
        return container

    def drop(self, container: int, target: str) -> None:
        found = self._models.pop((container, target), None)
        if found is not None:
            self._taken[container] -= found[1]
            self._counts[container] -= 1

    def clear(self, container: int) -> None:
        for key in [key for key in self._models if key[0] == container]:
            self.drop(*key)
        self._taken.pop(container, None)
        self._counts.pop(container, None)

    def count(self, container: int) -> int:
        return self._counts.get(container, 0)
