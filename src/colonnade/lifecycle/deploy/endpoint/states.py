"""What an endpoint's document says, and how it passes from one status to the next. Pure functions on documents.

Beside the wire's members a document holds

- `_live`: the plan that is served; absent until the first one is.
- `_next`: the plan that is being brought up; absent when there is nothing to change.
- `_replicas`: by slot (`<generation>-<container>-<number>`) the processes that stand behind plans: which attempt, whether it is ready.
- `_id`: tells this endpoint's processes from those of an endpoint of the same name that was deleted.

A plan is {"config", "began", "variants": [...]}. A variant of a plan carries all that serving it takes (the model's role and
containers included: {"hostname", "definition", "processes" that make an instance, "prepared", "natives" when one of many models needs processes}), because the model may be
deleted meanwhile, and a `generation`: variants of equal generation share their replicas, so new weights restart nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document, Key

ENDPOINTS = Resource(
    "sagemaker",
    "Endpoint",
    arn_kind="endpoint",
    missing=Refusal("ValidationException", 'Could not find endpoint "{arn}".'),
    duplicate=Refusal("ValidationException", 'Cannot create already existing endpoint "{arn}".'),
    status_member="EndpointStatus",
)

HOSTS = {"Endpoint": ENDPOINTS}
"""What has plans, by the type of its key: endpoints, and the inference components on them, which add themselves."""
Plan = Mapping[str, Any]
CREATING, IN_SERVICE, UPDATING, DELETING, FAILED = "Creating", "InService", "Updating", "Deleting", "Failed"
_LONGEST_REASON = 1024


def host(key: Key) -> Resource:
    return HOSTS[key.type]


def status_of(document: Mapping[str, Any]) -> str:
    return str(document[_status_member(document)])


def _status_member(document: Mapping[str, Any]) -> str:
    return next(member for member in (one.status_member for one in HOSTS.values()) if member in document)


def refuse_unless_changeable(document: Document) -> None:
    """An endpoint is changed only in service."""
    status, arn = document["EndpointStatus"], document["EndpointArn"]
    if status in (CREATING, UPDATING, DELETING):
        raise _in_progress(arn)
    if status != IN_SERVICE:
        raise validation(f'Cannot update endpoint "{arn}" in status {status}: delete it and create it anew.')


def refuse_unless_deletable(document: Document) -> None:
    if document["EndpointStatus"] in (CREATING, UPDATING, DELETING):
        raise _in_progress(document["EndpointArn"])


def _in_progress(arn: str) -> ServiceError:
    return validation(f'Cannot update in-progress endpoint "{arn}".')


def next_generation(document: Document) -> int:
    """A number that no variant of this endpoint has had."""
    document["_generations"] = int(document.get("_generations", 0)) + 1
    return int(document["_generations"])


def begin(document: Document, plan: Plan, at: float) -> None:
    """From InService to Updating."""
    document["_next"] = plan
    document.pop("FailureReason", None)
    _pass(document, UPDATING, at)


def deployed(document: Document, at: float) -> None:
    """The plan that was brought up is the one that is served."""
    document["_live"] = document.pop("_next")
    if "config" in document["_live"]:
        document["EndpointConfigName"] = document["_live"]["config"]
    _pass(document, IN_SERVICE, at)


def failed(document: Document, reason: str, at: float) -> None:
    """A failed creation stays so; a failed change leaves what was served before."""
    document["FailureReason"] = reason[:_LONGEST_REASON]
    if "_live" in document:
        document.pop("_next", None)
        _pass(document, IN_SERVICE, at)
    else:
        _pass(document, FAILED, at)


def deleting(document: Document, at: float) -> None:
    _pass(document, DELETING, at)


def _pass(document: Document, status: str, at: float) -> None:
    document[_status_member(document)] = status
    document["LastModifiedTime"] = at


def plans(document: Mapping[str, Any]) -> Sequence[Plan]:
    """Those that must have their instances now."""
    if status_of(document) in (DELETING, FAILED):
        return []
    return [document[member] for member in ("_live", "_next") if member in document]


def containers_in_slots(variant: Mapping[str, Any]) -> dict[str, int]:
    """The replicas that a plan's variant needs, by slot, with the number of the container that each runs; none for compiled
    containers."""
    found: dict[str, int] = {}
    for number, container in enumerate(variant["containers"]):
        if not _in_processes(container):
            continue
        for process in range(variant["count"] * container["processes"]):
            found[f"{variant['generation']}-{number}-{process}"] = number
    return found


def _in_processes(container: Mapping[str, Any]) -> bool:
    prepared = container.get("prepared", {})
    if prepared.get("kind") == "many":
        return bool(prepared["script"] or container.get("natives"))
    return bool(prepared.get("kind") != "compiled")


def group_of(variant: Mapping[str, Any], number: int) -> str:
    """What tells a container of many models from all others, also of an earlier endpoint of the same name."""
    return f"{variant.get('host', '')}-{variant['generation']}-{number}"


def containers_of_group(plan: Plan, group: str) -> list[tuple[dict[str, Any], int]]:
    return [
        (variant, number)
        for variant in plan["variants"]
        for number in range(len(variant["containers"]))
        if group_of(variant, number) == group
    ]
