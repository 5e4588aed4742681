"""How an endpoint's plans look from outside: the structures of DescribeEndpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.store import Stored
from colonnade.lifecycle.deploy.endpoint import capture, states


def described(stored: Stored) -> dict[str, Any]:
    """ProductionVariants show what is served, PendingDeploymentSummary what comes in its place."""
    document = stored.document
    live, coming = document.get("_live"), document.get("_next")
    found: dict[str, Any] = capture.summary(live or coming)
    if live is not None:
        desired = coming if coming is not None and _same_instances(live, coming) else live
        found["ProductionVariants"] = _variants(document, live, desired)
    elif coming is not None:
        found["ProductionVariants"] = _variants(document, coming, coming)
    if live is not None and coming is not None and not _same_instances(live, coming):
        found["PendingDeploymentSummary"] = {
            "EndpointConfigName": coming["config"],
            "ProductionVariants": _pending(document, coming),
            "StartTime": coming["began"],
        }
    return found


def _same_instances(one: states.Plan, other: states.Plan) -> bool:
    """Whether the plans differ by weights and counts only."""
    generations = [[variant["generation"] for variant in plan["variants"]] for plan in (one, other)]
    return generations[0] == generations[1]


def _variants(document: Mapping[str, Any], now: states.Plan, desired: states.Plan) -> list[dict[str, Any]]:
    pairs = zip(now["variants"], desired["variants"], strict=True)
    return [_variant(document, current, wanted) for current, wanted in pairs]


def _pending(document: Mapping[str, Any], plan: states.Plan) -> list[dict[str, Any]]:
    rows = zip(_variants(document, plan, plan), plan["variants"], strict=True)
    return [
        {**row, **({"InstanceType": variant["instance_type"]} if variant["instance_type"] else {})}
        for row, variant in rows
    ]


def _variant(
    document: Mapping[str, Any], current: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, Any]:
    images = [container["definition"]["Image"] for container in current["containers"]]
    row: dict[str, Any] = {
        "VariantName": current["VariantName"],
        "DeployedImages": [
            {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": current["began"]}
            for image in images
        ],
        "CurrentWeight": current["weight"],
        "DesiredWeight": wanted["weight"],
    }
    if "serverless" in current:
        row |= {
            "CurrentServerlessConfig": current["serverless"],
            "DesiredServerlessConfig": wanted["serverless"],
        }
    else:
        row |= {
            "CurrentInstanceCount": standing(document, current),
            "DesiredInstanceCount": wanted["count"],
        }
    if current["routing"]:
        row["RoutingConfig"] = {"RoutingStrategy": current["routing"]}
    if (status := _status(document, current, wanted)) is not None:
        row["VariantStatus"] = [status]
    return row


def standing(document: Mapping[str, Any], variant: Mapping[str, Any]) -> int:
    """Instances that serve. A compiled variant's are slots of every worker, there as soon as the plan is served."""
    if any("kind" not in container.get("prepared", {}) for container in variant["containers"]):
        return 0
    slots = states.containers_in_slots(variant)
    if not slots or any(container.get("natives") for container in variant["containers"]):
        live = any(variant["generation"] == each["generation"] for each in _live_variants(document))
        return int(variant["count"]) if live else 0
    replicas = document.get("_replicas", {})
    ready = [number for slot, number in slots.items() if replicas.get(slot, {}).get("ready")]
    # All containers run on each instance, each as so many processes: the one that lacks most says how many stand.
    return min(
        ready.count(number) // int(variant["containers"][number]["processes"])
        for number in set(slots.values())
    )


def _size(variant: Mapping[str, Any]) -> tuple[Any, ...]:
    return variant["weight"], variant["count"], variant.get("serverless")


def _live_variants(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(document.get("_live", {}).get("variants", ()))


def _status(
    document: Mapping[str, Any], current: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, Any] | None:
    """None once nothing is going on with the variant."""
    overall = states.status_of(document)
    if overall == states.DELETING:
        return {"Status": "Deleting", "StartTime": document["LastModifiedTime"]}
    if overall == states.FAILED or current["generation"] not in [
        each["generation"] for each in _live_variants(document)
    ]:
        return None if overall == states.FAILED else {"Status": "Creating", "StartTime": current["began"]}
    if current is not wanted and _size(current) != _size(wanted):
        return {"Status": "Updating", "StartTime": document["LastModifiedTime"]}
    return None
