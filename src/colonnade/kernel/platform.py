"""The typed box of parts that the composition root fills and everything else asks.

`platform.the(Storage)` gives whatever fulfils that Protocol. Keys are the Protocols themselves, so a part's user and its
maker meet in a type and nowhere else. Filled once in `app.py`; asking for a part that was never provided is a programming
error and says which.
"""

from __future__ import annotations

from typing import TypeVar, cast

from colonnade.kernel.clock import Clock
from colonnade.kernel.ids import Ids
from colonnade.kernel.signals import Signals
from colonnade.kernel.store import Store

T = TypeVar("T")


class Platform:
    def __init__(self, *, store: Store, clock: Clock, ids: Ids, signals: Signals) -> None:
        self.store = store
        self.clock = clock
        self.ids = ids
        self.signals = signals
        self._parts: dict[type[object], object] = {}

    def provide(self, kind: type[T], part: T) -> None:
        self._parts[kind] = part

    def the(self, kind: type[T]) -> T:
        try:
            return cast(T, self._parts[kind])
        except KeyError:
            raise LookupError(f"no {kind.__name__} was provided to this platform (see app.py)") from None

    def has(self, kind: type[object]) -> bool:
        return kind in self._parts
