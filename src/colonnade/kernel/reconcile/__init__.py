"""Making true what documents say. A reconciler looks at the world, compares, acts, and says how that ended.

A resource whose row is `active` has a reconciler's attention: the driver (`driver.py`) calls it at start-up, when a
`reconcile` signal names it, and when an `Again` falls due, never twice at once for one key. It may be killed anywhere and is
called again from the start, so each step must be safe to repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from colonnade.kernel.platform import Platform
from colonnade.kernel.store import Key


@dataclass(frozen=True, slots=True)
class Done:
    """What the document wants is true. The reconciler has cleared the row's `active` flag, unless it wants to be asked at
    every signal and start-up."""


@dataclass(frozen=True, slots=True)
class Again:
    """Not yet: look again after so many seconds, sooner when signalled."""

    after: float


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot become true. The driver calls the type's `fail` with the reason, which writes the failure down."""

    reason: str


Outcome = Done | Again | Failed
Reconcile = Callable[[Platform, Key], Outcome]
Fail = Callable[[Platform, Key, str], None]


@dataclass(frozen=True, slots=True)
class Reconciler:
    service: str
    type: str
    reconcile: Reconcile
    fail: Fail


_registered: dict[tuple[str, str], Reconciler] = {}


def reconciler(service: str, type: str, *, fail: Fail) -> Callable[[Reconcile], Reconcile]:
    """Mark the function that reconciles a type of resource. Found by importing its module, like operations."""

    def register(function: Reconcile) -> Reconcile:
        if (service, type) in _registered:
            raise ValueError(f"{service}/{type} has two reconcilers")
        _registered[service, type] = Reconciler(service, type, function, fail)
        return function

    return register


def registered() -> Mapping[tuple[str, str], Reconciler]:
    return _registered


def subject_of(key: Key) -> str:
    """A key as the subject of a `reconcile` signal."""
    return "\t".join((key.partition, key.account, key.region, key.service, key.type, key.name))


def key_of(subject: str) -> Key:
    return Key(*subject.split("\t"))


def wake(platform: Platform, key: Key) -> None:
    """Ask for attention soon. Lost wake-ups do no harm: the row is active, and the driver looks at those in any case."""
    platform.signals.notify("reconcile", subject_of(key))
