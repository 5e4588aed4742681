"""Prepares the models of multi-model endpoints, each when a call first names it: the leader's part of `colonnade.serving.hosted`.

What came of a model is kept in its document until the endpoint goes or changes, also when the object in S3 is replaced. A model
that could not be had is tried again by the next call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principals, Storage
from colonnade.kernel.reconcile import Again, Done, Outcome, reconciler, subject_of, wake
from colonnade.kernel.store import Document, Key
from colonnade.lifecycle.deploy.endpoint import states
from colonnade.lifecycle.deploy.endpoint.states import ENDPOINTS
from colonnade.lifecycle.deploy.model.operations import single_model
from colonnade.lifecycle.deploy.model.preparation import Broken, prepare
from colonnade.serving.artifacts import Artifacts, s3_place
from colonnade.serving.hosted import documents

_SOON = 0.1
_AT_ONCE = 2
"""Conversions that run beside each other: each takes a processor for some seconds."""
_converting: set[str] = set()
"""Digests of the models that are being converted. Lost with the process, and no harm done."""
_lock = threading.Lock()


def fail(platform: Platform, key: Key, reason: str) -> None:
    _settle(platform, key, {"failure": {"status": 500, "message": reason}})


@reconciler("sagemaker", documents.TYPE, fail=fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    with platform.store.read() as reader:
        stored = reader.get(key)
    if stored is None or not stored.active:
        return Done()
    document = stored.document
    try:
        known = document.get("prepared") or _fetched(platform, key, document)
        if not _turn(known):
            return Again(_SOON)
        prepared = prepare(
            platform,
            single_model(document["definition"]),
            document["role"],
            known,
            name=document["name"],
        )
    except Broken as broken:
        return _settle(platform, key, {"failure": {"status": 500, "message": str(broken)}})
    except ServiceError as error:
        return _settle(platform, key, {"failure": {"code": "ValidationError", "message": error.message}})
    if "kind" not in prepared:
        return Again(_SOON)
    with _lock:
        _converting.discard(known["model"])
    if prepared["kind"] == "native":
        _want_replica(platform, key)
    return _settle(platform, key, {"prepared": prepared})


def _fetched(platform: Platform, key: Key, document: Mapping[str, Any]) -> dict[str, Any]:
    """The archive, into the cache. Raises ServiceError in the words of a multi-model endpoint."""
    began = time.monotonic()
    bucket, name = s3_place(document["url"])
    try:
        role = platform.the(Principals).assume_for_service(
            document["role"], "sagemaker.amazonaws.com", "SageMaker"
        )
        digest = platform.the(Artifacts).keep(platform.the(Storage).read(role, bucket, name))
    except ServiceError as error:
        raise ServiceError(
            "ValidationError",
            f"Failed to download model data(bucket: {bucket}, key: {name}). Please ensure that there is an object located "
            "at the URL and that the role passed to CreateModel has permissions to download the model "
            f"({error.code}).",
        ) from error
    prepared = {**document["shared"], "model": digest}
    prepared.pop("kind", None)
    archive = platform.the(Artifacts).archive(digest)

    def edit(found: Document) -> None:
        found.update(prepared=prepared, archive=str(archive), downloading_seconds=time.monotonic() - began)

    _change(platform, key, edit, active=True)
    return prepared


def _turn(prepared: Mapping[str, Any]) -> bool:
    """Whether this model may be converted now, if it must be."""
    if prepared["script"]:
        return True
    with _lock:
        if prepared["model"] in _converting:
            return True
        if len(_converting) < _AT_ONCE:
            _converting.add(prepared["model"])
            return True
    return False


def _want_replica(platform: Platform, key: Key) -> None:
    """A model that no worker can answer: its container needs processes from now on."""
    endpoint, group, _ = documents.parts(key)

    def edit(document: Document) -> None:
        for plan in states.plans(document):
            for variant, number in states.containers_of_group(plan, group):
                variant["containers"][number]["natives"] = True

    with platform.store.write() as transaction:
        if transaction.get(endpoint) is None:
            return
        ENDPOINTS.change(transaction, endpoint, edit, at=platform.clock.now(), active=True)
    wake(platform, endpoint)


def _settle(platform: Platform, key: Key, outcome: Mapping[str, Any]) -> Outcome:
    def edit(document: Document) -> None:
        document.pop("failure", None)
        document.update(outcome)
        if "failure" in outcome and "prepared" in document:
            with _lock:
                _converting.discard(document["prepared"]["model"])
            del document["prepared"]

    _change(platform, key, edit, active=False)
    platform.signals.notify(documents.SIGNAL, subject_of(key))
    return Done()


def _change(platform: Platform, key: Key, edit: Any, *, active: bool) -> None:
    with platform.store.write() as transaction:
        stored = transaction.get(key)
        if stored is not None:  # else its endpoint has gone meanwhile
            edit(stored.document)
            transaction.put(key, stored.document, at=platform.clock.now(), active=active)


def forget(platform: Platform, endpoint: Key, *, keep: set[str]) -> None:
    """The models of an endpoint that belong to none of the groups to keep."""
    done = endpoint.type != "Endpoint"  # an inference component has no models to be named by calls
    while not done:
        with platform.store.write() as transaction:
            done = documents.remove(transaction, endpoint, keep=keep)
