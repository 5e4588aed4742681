"""Makes endpoints serve what their documents say: prepares models, keeps replicas alive, tells the workers their routes.

Runs in the leader. Every look starts from the document and the executor, so it may be killed anywhere. A route is told to the
workers before an endpoint is called InService, and taken from them before its replicas stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import Again, Done, Outcome, reconciler
from colonnade.kernel.store import Document, Key
from colonnade.lifecycle.deploy.endpoint import (
    asynchronous,
    capture,
    hosted_models,
    routes,
    serverless,
    states,
)
from colonnade.lifecycle.deploy.endpoint.replicas import Replicas, memory_bytes
from colonnade.lifecycle.deploy.model.preparation import Broken, prepare
from colonnade.serving.crashes import crashed

_SOON, _WATCHING, _DELIVERING = 0.1, 1.0, 5.0
_ENVIRONMENT = (
    "SAGEMAKER_INFERENCE_OUTPUT",
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
    "SAGEMAKER_BATCH",
)
"""What of a container's environment a compiled model answers to."""


def fail(platform: Platform, key: Key, reason: str) -> None:
    """The workers keep what they serve; the document says what went wrong."""
    states.host(key).update(
        platform, key, lambda document: states.failed(document, reason, platform.clock.now())
    )


@reconciler("sagemaker", "Endpoint", fail=fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    """Also for inference components, which are served as endpoints are."""
    with platform.store.read() as reader:
        stored = reader.get(key)
    if stored is None or not stored.active:
        return Done()
    document = stored.document
    replicas = Replicas(platform, key, document)
    try:
        if states.status_of(document) == states.DELETING:
            return _delete(platform, key, document, replicas)
        if states.status_of(document) == states.FAILED:
            return _tidy(platform, key, replicas)
        return _serve(platform, key, document, replicas)
    finally:
        _keep(platform, key, document, replicas)


def _serve(platform: Platform, key: Key, document: Document, replicas: Replicas) -> Outcome:
    """Keep what is served alive; bring up what comes, and switch to it once all of it is ready."""
    live, coming = document.get("_live"), document.get("_next")
    if live is not None:
        if any(_has_crashed(container) for container in _containers(live)):
            states.host(key).update(platform, key, _set_apart)
            return Again(0.0)
        live = serverless.sized(platform, key, document, live)
        current = _route(platform, replicas, live, serving=True)
        if current is not None and routes.tell(platform, key, document, current):
            return Again(_SOON)
    if coming is not None:
        return _bring_up(platform, key, document, replicas, coming)
    assert live is not None
    wanted = {slot for variant in live["variants"] for slot in states.containers_in_slots(variant)}
    if not replicas.release(wanted):
        return Again(_SOON)
    capturing = capture.deliver_what_is_ready(platform, key, document)
    all_ready = all(replicas.slots.get(slot, {}).get("ready") for slot in wanted)
    if not wanted:
        return Again(_DELIVERING) if capturing else Done()
    return Again(_WATCHING if all_ready else _SOON)


def _containers(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [container for variant in plan["variants"] for container in variant["containers"]]


def _has_crashed(container: Mapping[str, Any]) -> str:
    prepared = container["prepared"]
    return crashed(Path(prepared["folder"])) if prepared["kind"] == "compiled" else ""


def _set_apart(document: Document) -> None:
    """A compiled model that took a worker down goes on in processes of its own, answered by its library."""
    for container in _containers(document["_live"]):
        if why := _has_crashed(container):
            reason = f"served natively: as ONNX it ended the server's process ({why})"
            container["prepared"] = {**container["prepared"], "kind": "native", "reason": reason}


def _bring_up(
    platform: Platform, key: Key, document: Document, replicas: Replicas, coming: Mapping[str, Any]
) -> Outcome:
    try:
        if not _prepare(platform, key, coming):
            return Again(_SOON)
        route = _route(platform, replicas, coming, serving=False)
        if route is None:
            return Again(_SOON)
        refusals = routes.tell(platform, key, document, route)
    except Broken as broken:
        return _give_up(platform, key, str(broken))
    if refusals:
        # A replica may have died since it was ready: look again. A model that a worker cannot serve is no use at all.
        if _has_replicas(route):
            return Again(_SOON)
        return _give_up(platform, key, f"A gateway worker cannot serve the model: {refusals}")

    def deploy(found: Document) -> None:
        # Together, so that whoever sees it in service sees its instances counted.
        found["_replicas"] = replicas.slots
        states.deployed(found, platform.clock.now())

    states.host(key).update(platform, key, deploy)
    serverless.served(platform, key, coming)
    hosted_models.forget(platform, key, keep=_groups(coming))
    return Again(0.0)


def _give_up(platform: Platform, key: Key, reason: str) -> Outcome:
    fail(platform, key, reason)
    return Again(0.0)


def _prepare(platform: Platform, key: Key, plan: Mapping[str, Any]) -> bool:
    """Whether every variant of the plan is prepared; what was found out is kept in the document, and in `plan`."""
    complete = True
    for variant in plan["variants"]:
        for number, container in enumerate(variant["containers"]):
            known = container.get("prepared", {})
            prepared = prepare(
                platform,
                container["definition"],
                variant["role"],
                known,
                name=container["hostname"],
                seconds=variant.get("download_seconds") or inf,
            )
            if prepared != known:
                container["prepared"] = prepared
                _keep_preparation(platform, key, variant["generation"], number, prepared)
            complete = complete and "kind" in prepared
    return complete


def _keep_preparation(
    platform: Platform, key: Key, generation: int, number: int, prepared: Mapping[str, Any]
) -> None:
    def edit(document: Document) -> None:
        for variant in document.get("_next", {}).get("variants", ()):
            if variant["generation"] == generation:
                variant["containers"][number]["prepared"] = dict(prepared)

    states.host(key).update(platform, key, edit)


def _groups(plan: Mapping[str, Any]) -> set[str]:
    return {
        states.group_of(variant, number)
        for variant in plan["variants"]
        for number in range(len(variant["containers"]))
    }


def _has_replicas(route: Sequence[Mapping[str, Any]]) -> bool:
    return any(
        "address" in instance
        for variant in route
        for container in variant["containers"]
        for instance in container["instances"]
    )


def _route(
    platform: Platform, replicas: Replicas, plan: Mapping[str, Any], *, serving: bool
) -> list[dict[str, Any]] | None:
    """The plan's variants as the workers are told them. None while instances are missing; of what is `serving` the ready ones
    are told, as long as there is one. Raises Broken."""
    variants, complete, some = [], True, False
    for variant in plan["variants"]:
        instances = [_compiled(platform, variant, container) for container in variant["containers"]]
        for slot, number in states.containers_in_slots(variant).items():
            ready = replicas.step(slot, variant, number, serving=serving)
            complete = complete and ready is not None
            instances[number] += [] if ready is None else [{"address": ready.address}]
        some = some or all(instances)
        variants.append(_variant(platform, variant, instances))
    return variants if complete or (serving and some) else None


def _many(variant: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What the workers must know of a container of many models."""
    container = variant["containers"][number]
    definition = container["definition"]
    shared = {name: value for name, value in container["prepared"].items() if name != "kind"}
    return {
        "group": states.group_of(variant, number),
        "definition": definition,
        "role": variant["role"],
        "name": container["hostname"],
        "shared": shared,
        "environment": _environment(container),
        "cached": definition.get("MultiModelConfig", {}).get("ModelCacheSetting") != "Disabled",
        "memory_bytes": memory_bytes(variant["instance_type"]) * variant["count"],
    }


def _environment(container: Mapping[str, Any]) -> dict[str, str]:
    given = container["definition"].get("Environment", {})
    return {name: given[name] for name in _ENVIRONMENT if name in given}


def _compiled(
    platform: Platform, variant: Mapping[str, Any], container: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A serverless one is always there, at rest; of one with instances there is none where there is no instance."""
    if container["prepared"]["kind"] != "compiled":
        return []
    compiled = {"compiled": container["prepared"]["folder"], "environment": _environment(container)}
    if "serverless" in variant:
        return [{**compiled, "idle_seconds": serverless.of_route(platform, variant)["idle_seconds"]}]
    return [compiled] if variant["count"] else []


def _variant(
    platform: Platform, variant: Mapping[str, Any], instances: Sequence[Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    containers: list[dict[str, Any]] = []
    for number, (each, behind) in enumerate(zip(variant["containers"], instances, strict=True)):
        containers.append({"name": each["hostname"], "instances": list(behind)})
        if each["prepared"]["kind"] == "many":
            containers[-1]["many"] = _many(variant, number)
    return {
        "name": variant["VariantName"],
        "weight": variant["weight"],
        "routing": variant["routing"],
        "direct": variant["direct"],
        "containers": containers,
        **({"capture": variant["capture"]} if "capture" in variant else {}),
        **({"serverless": serverless.of_route(platform, variant)} if "serverless" in variant else {}),
        **({"asynchronous": asynchronous.of_route(variant, instances)} if "asynchronous" in variant else {}),
    }


def _delete(platform: Platform, key: Key, document: Document, replicas: Replicas) -> Outcome:
    """Nobody is sent here any more, then the replicas end, then the endpoint is gone."""
    if not routes.withdraw(platform, key) or not replicas.release(set()):
        return Again(_SOON)
    hosted_models.forget(platform, key, keep=set())
    capture.finish(platform, key, document)
    if key.type == "Endpoint" and not asynchronous.abandon(platform, key):
        return Again(_SOON)
    with platform.store.write() as transaction:
        states.host(key).remove(transaction, key, at=platform.clock.now())
    return Done()


def _tidy(platform: Platform, key: Key, replicas: Replicas) -> Outcome:
    """A failed creation leaves nothing behind but its reason."""
    if not routes.withdraw(platform, key) or not replicas.release(set()):
        return Again(_SOON)
    with platform.store.write() as transaction:
        if states.status_of(states.host(key).get(transaction, key).document) != states.FAILED:
            return Again(0.0)  # deleted meanwhile: our attention is wanted again
        states.host(key).change(
            transaction, key, lambda document: None, at=platform.clock.now(), active=False
        )
    return Done()


def _keep(platform: Platform, key: Key, before: Document, replicas: Replicas) -> None:
    """Write down what became of the replicas, where something did."""
    if replicas.slots == before.get("_replicas", {}):
        return

    def edit(document: Document) -> None:
        document["_replicas"] = replicas.slots

    with platform.store.write() as transaction:
        if transaction.get(key) is not None:
            states.host(key).change(transaction, key, edit, at=platform.clock.now())
