"""What an inference component's document says, and whether the instances of its variant have room for it.

The document has plans, replicas and statuses as an endpoint's has (`endpoint/states.py`): it is brought up, switched, repaired and
taken down the same way, with a route of its own. Its plans have one variant, whose `count` is the number of copies, and `needs`:
{"cpus", "mib"} of each copy, and the `specification` that it comes from. `placed` marks a plan whose copies have been found room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colonnade.kernel.errors import validation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document, Key, Reader, Stored, each
from colonnade.lifecycle.deploy.endpoint import states, views
from colonnade.lifecycle.deploy.endpoint.states import ENDPOINTS, HOSTS
from colonnade.serving.machines import Machine, machine


def _derived(document: Document) -> Mapping[str, Any]:
    plan: Mapping[str, Any] = document.get("_live") or document.get("_next") or {}
    found: dict[str, Any] = {}
    if plan:
        found["Specification"] = _specification(plan)
        (variant,) = plan["variants"]
        (wanted,) = document.get("_next", plan)["variants"]
        found["RuntimeConfig"] = {
            "DesiredCopyCount": wanted["count"],
            "CurrentCopyCount": views.standing(document, variant),
        }
    return found


def _specification(plan: Mapping[str, Any]) -> dict[str, Any]:
    given = plan["specification"]
    shown = {name: value for name, value in given.items() if name != "Container"}
    if "Container" in given:
        container = dict(given["Container"])
        image = container.pop("Image", "")
        began = plan["variants"][0]["began"]
        container["DeployedImage"] = {
            "SpecifiedImage": image,
            "ResolvedImage": image,
            "ResolutionTime": began,
        }
        shown["Container"] = container
    return shown


COMPONENTS = Resource(
    "sagemaker",
    "InferenceComponent",
    arn_kind="inference-component",
    within={"EndpointName": ENDPOINTS},
    derived=_derived,
    missing=Refusal("ValidationException", 'Could not find inference component "{arn}".'),
    duplicate=Refusal("ValidationException", 'Cannot create already existing inference component "{arn}".'),
    status_member="InferenceComponentStatus",
)
HOSTS["InferenceComponent"] = COMPONENTS


def refuse_in_progress(document: Document) -> None:
    if states.status_of(document) in (states.CREATING, states.UPDATING, states.DELETING):
        arn = document["InferenceComponentArn"]
        raise validation(f'Cannot update in-progress inference component "{arn}".')


def endpoint_of(component: Key, document: Mapping[str, Any]) -> Key:
    return ENDPOINTS.scope(component.account, component.region).key(document["EndpointName"].lower())


def of_endpoint(reader: Reader, endpoint: Key) -> list[Stored]:
    scope = COMPONENTS.scope(endpoint.account, endpoint.region)
    return [row for row in each(reader, scope) if row.document["EndpointName"].lower() == endpoint.name]


# Room


@dataclass(frozen=True, slots=True)
class Copies:
    count: int
    cpus: float
    mib: int


def needs(specification: Mapping[str, Any]) -> dict[str, float]:
    compute = specification["ComputeResourceRequirements"]
    return {
        "cpus": float(compute.get("NumberOfCpuCoresRequired", 0.0)),
        "mib": int(compute["MinMemoryRequiredInMb"]),
    }


def taken(components: Iterable[Stored], variant: str) -> list[Copies]:
    """The room that the variant's components have been given: the larger of what runs and what comes."""
    found = []
    for row in components:
        document = row.document
        plans = [
            plan for plan in states.plans(document) if plan is document.get("_live") or plan.get("placed")
        ]
        if document["VariantName"] == variant and plans:
            found.append(
                Copies(
                    max(plan["variants"][0]["count"] for plan in plans),
                    max(plan["needs"]["cpus"] for plan in plans),
                    int(max(plan["needs"]["mib"] for plan in plans)),
                )
            )
    return found


def fits(instance: Machine, instances: int, wanted: Sequence[Copies]) -> bool:
    """Whether each copy finds an instance, the largest ones first."""
    free = [[float(instance.cpus), float(instance.memory_mib)] for _ in range(instances)]
    for copies in sorted(wanted, key=lambda one: (one.mib, one.cpus), reverse=True):
        for _ in range(copies.count):
            place = next((one for one in free if one[0] >= copies.cpus and one[1] >= copies.mib), None)
            if place is None:
                return False
            place[0] -= copies.cpus
            place[1] -= copies.mib
    return True


def refuse_in_use(reader: Reader, endpoint: Stored) -> None:
    """Raises ValidationException while an endpoint that shall go hosts components."""
    on = [row.document["InferenceComponentName"] for row in of_endpoint(reader, endpoint.key)]
    if on:
        raise validation(
            f"Cannot delete endpoint {endpoint.document['EndpointName']}: it hosts the inference components "
            f"{', '.join(on[:5])}{' and others' if len(on) > 5 else ''}. Delete them first."
        )


def refuse_without_room(reader: Reader, endpoint: Stored) -> None:
    """Raises ValidationException when in what comes an endpoint's components would not find their variants, or not enough
    instances."""
    components = of_endpoint(reader, endpoint.key)
    by_name = {variant["VariantName"]: variant for variant in endpoint.document["_next"]["variants"]}
    for row in components:
        name = row.document["VariantName"]
        if name not in by_name or by_name[name]["containers"]:
            raise validation(
                f"Inference component {row.document['InferenceComponentName']} is on variant {name}: "
                "delete it before its variant goes."
            )
    for name in {row.document["VariantName"] for row in components}:
        instance = machine(by_name[name]["instance_type"])
        count = by_name[name]["count"]
        if instance is None or not fits(instance, count, taken(components, name)):
            raise validation(
                f"{count} of {by_name[name]['instance_type']} have no room for the inference components of variant {name}: "
                "keep more instances, or reduce their copies first."
            )
