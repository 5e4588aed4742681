"""Finds an inference component's copies room on its variant's instances, and then has it served as endpoints are."""

from __future__ import annotations

from typing import Any

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import Again, Outcome, reconciler
from colonnade.kernel.store import Document, Key, Transaction
from colonnade.lifecycle.deploy.endpoint import reconciler as served
from colonnade.lifecycle.deploy.endpoint import states
from colonnade.lifecycle.deploy.endpoint.states import ENDPOINTS
from colonnade.lifecycle.deploy.inference_component.states import (
    COMPONENTS,
    Copies,
    endpoint_of,
    fits,
    of_endpoint,
    taken,
)
from colonnade.serving.machines import machine


@reconciler("sagemaker", "InferenceComponent", fail=served.fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    with platform.store.read() as reader:
        stored = reader.get(key)
    if stored is not None and stored.active and _unplaced(stored.document):
        reason = _place(platform, key)
        if reason:
            served.fail(platform, key, reason)
            return Again(0.0)
    return served.reconcile(platform, key)


def _unplaced(document: Document) -> bool:
    return any(not plan["placed"] for plan in states.plans(document))


def _place(platform: Platform, key: Key) -> str:
    """Keep room for the copies that come, in one transaction with the look at all others. Why there is none; else empty."""
    with platform.store.write() as transaction:
        stored = COMPONENTS.get(transaction, key)
        if not _unplaced(stored.document):
            return ""
        reason = _no_room(transaction, key, stored.document)
        if not reason:
            COMPONENTS.change(transaction, key, _mark, at=platform.clock.now())
        return reason


def _mark(document: Document) -> None:
    document["_next"]["placed"] = True


def _no_room(transaction: Transaction, key: Key, document: Document) -> str:
    coming: dict[str, Any] = document["_next"]
    (variant,) = coming["variants"]
    endpoint = endpoint_of(key, document)
    on = next(
        one
        for one in ENDPOINTS.get(transaction, endpoint).document["_live"]["variants"]
        if one["VariantName"] == document["VariantName"]
    )
    instance = machine(on["instance_type"])
    if instance is None:
        return (
            f"What an instance of {on['instance_type']} has is not known here: choose another instance type."
        )
    others = [row for row in of_endpoint(transaction, endpoint) if row.key != key]
    wanted = Copies(variant["count"], coming["needs"]["cpus"], int(coming["needs"]["mib"]))
    if fits(instance, on["count"], [*taken(others, document["VariantName"]), wanted]):
        return ""
    return (
        f"Variant {on['VariantName']} of endpoint {document['EndpointName']} has no room for {wanted.count} copies of "
        f"{wanted.cpus:g} CPU cores and {wanted.mib} MB beside its other inference components: it has {on['count']} of "
        f"{on['instance_type']} with {instance.cpus} CPU cores and {instance.memory_mib} MB each. Ask for less, or give the "
        "variant more instances."
    )
