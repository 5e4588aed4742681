"""The gates of a worker's serverless variants: kept over changes of the route, so that calls under way go on being counted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import subject_of
from colonnade.kernel.store import Key
from colonnade.serving.serverless.gate import TOPIC, Gate, message


class Gates:
    def __init__(self, platform: Platform, folder: Path | None) -> None:
        self._platform = platform
        self._folder = folder
        self._known: dict[tuple[Key, str, int], Gate] = {}

    def of(self, endpoint: Key, described: Mapping[str, Any]) -> Gate | None:
        """For a variant as its route describes it; None for one with instances."""
        terms = described.get("serverless")
        if terms is None:
            return None
        place = (endpoint, described["name"], terms["generation"])
        gate = self._known.get(place)
        if gate is None:
            gate = self._known[place] = self._made(endpoint, described["name"], terms)
        gate.limit = terms["most"]
        return gate

    def _made(self, endpoint: Key, variant: str, terms: Mapping[str, Any]) -> Gate:
        tell = partial(self._tell, subject_of(endpoint), variant)
        if self._folder is None:
            return Gate(terms["most"], None, tell)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        named = f"{subject_of(endpoint)}/{variant}/{terms['generation']}"
        return Gate(terms["most"], self._folder / blake2b(named.encode(), digest_size=16).hexdigest(), tell)

    def _tell(self, endpoint: str, variant: str, calls: int) -> None:
        self._platform.signals.notify(TOPIC, message(endpoint, variant, f"worker-{os.getpid()}", calls))

    def forget(self, endpoint: Key) -> None:
        """The endpoint is gone. Places of calls that are still under way are freed as they end."""
        for place in [place for place in self._known if place[0] == endpoint]:
            del self._known[place]
