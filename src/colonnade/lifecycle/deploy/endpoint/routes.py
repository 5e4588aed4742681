"""Tells the workers what to serve, and knows that they do: the route in the store, and the signal that it changed.

A route that a worker refuses is taken back, so that workers which start later serve what the others do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import subject_of
from colonnade.kernel.store import Key
from colonnade.serving.snapshot import route_key

_SECONDS = 60.0


def tell(platform: Platform, key: Key, host: Mapping[str, Any], variants: Sequence[Mapping[str, Any]]) -> str:
    """Make every worker serve this. What they say against it; empty once all of them do."""
    place = route_key(key)
    with platform.store.read() as reader:
        stored = reader.get(place)
    before = None if stored is None else stored.document
    if before is not None and before["variants"] == list(variants) and before["told"]:
        return ""
    generation = 1 if before is None else before["generation"] + 1
    names = {name: host[name] for name in ("EndpointName", "InferenceComponentName") if name in host}
    route = {**names, "generation": generation, "variants": list(variants)}
    _write(platform, place, {**route, "told": False})
    refusals = platform.signals.publish("routes", subject_of(key), timeout=_SECONDS)
    if refusals:
        if before is not None:
            _write(platform, place, {**before, "generation": generation + 1, "told": False})
        return "; ".join(f"{refusal.process}: {refusal.reason}" for refusal in refusals)
    _write(platform, place, {**route, "told": True})
    return ""


def withdraw(platform: Platform, key: Key) -> bool:
    """Make no worker serve the endpoint. False while one of them still might."""
    place = route_key(key)
    with platform.store.write() as transaction:
        transaction.delete(place)
    return not platform.signals.publish("routes", subject_of(key), timeout=_SECONDS)


def _write(platform: Platform, place: Key, document: Mapping[str, Any]) -> None:
    with platform.store.write() as transaction:
        transaction.put(place, document, at=platform.clock.now())
