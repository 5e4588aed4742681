"""Compiles a model in the background as soon as it exists, so that its endpoints come up at once.

Only what is kept by digest comes of it; an endpoint fetches the model data anew, as the role, when it is created. What goes
wrong here goes wrong there again, where it can be told.
"""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import Again, Done, Outcome, reconciler
from colonnade.kernel.store import Document, Key
from colonnade.lifecycle.deploy.model.operations import MODELS
from colonnade.lifecycle.deploy.model.preparation import Broken, prepare_all

_SOON = 0.2


def fail(platform: Platform, key: Key, reason: str) -> None:
    _settle(platform, key)


@reconciler("sagemaker", "Model", fail=fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    with platform.store.read() as reader:
        stored = reader.get(key)
    if stored is None or not stored.active:
        return Done()
    known = stored.document.get("_prepared", [])
    try:
        prepared = prepare_all(platform, stored.document, known)
    except Broken:
        return _settle(platform, key)
    if all("kind" in each for each in prepared):
        return _settle(platform, key, [each["model"] for each in prepared if each["model"]])
    if prepared != known:
        MODELS.update(platform, key, lambda document: document.update(_prepared=prepared))
    return Again(_SOON)


def _settle(platform: Platform, key: Key, digests: Sequence[str] = ()) -> Outcome:
    """`digests` of its archives keep what was compiled from them as long as the model is there."""

    def edit(document: Document) -> None:
        document.pop("_prepared", None)
        document["_archives"] = list(digests)

    MODELS.update(platform, key, edit, active=False)
    return Done()
