"""Attaching managed policies to users, roles and groups, and who has which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colonnade.cloud.iam import aws_managed, managed_policies
from colonnade.cloud.iam.entities import (
    GROUP,
    ROLE,
    USER,
    EntityType,
    editing,
    get,
    limit_exceeded,
)
from colonnade.cloud.iam.pages import entities, page
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Effect, Result, add, operation

_MOST = {"User": 20, "Role": 25, "Group": 10}
"""By noun. AWS starts with 10 and raises to this on request, which nobody can make here; the SageMaker SDK v3 attaches 11 to a role
that it makes for training."""


def _attaches(kind: EntityType) -> Callable[[Call], None]:
    def attach_policy(call: Call) -> None:
        arn = call.parameters["PolicyArn"]
        refuse_unknown(call, arn)
        with editing(call, kind) as document:
            attached = document.setdefault("AttachedPolicies", [])
            if arn not in attached:
                attached.append(arn)
            if len(attached) > _MOST[kind.noun]:
                raise limit_exceeded(f"Cannot exceed quota for PoliciesPer{kind.noun}: {_MOST[kind.noun]}")

    return attach_policy


def _detaches(kind: EntityType) -> Callable[[Call], None]:
    def detach_policy(call: Call) -> None:
        arn = call.parameters["PolicyArn"]
        with editing(call, kind) as document:
            if arn not in document.get("AttachedPolicies", ()):
                raise ServiceError("NoSuchEntity", f"Policy {arn} was not found.", status=404)
            document["AttachedPolicies"].remove(arn)

    return detach_policy


def _lists(kind: EntityType) -> Callable[[Call], Result]:
    def list_attached(call: Call) -> Result:
        prefix = call.parameters.get("PathPrefix", "/")
        arns = get(call, kind).get("AttachedPolicies", ())
        below = sorted((_name(arn).lower() + " " + arn, arn) for arn in arns if _path(arn).startswith(prefix))
        return page(call, "AttachedPolicies", below, lambda arn: {"PolicyName": _name(arn), "PolicyArn": arn})

    return list_attached


@operation("iam", "ListEntitiesForPolicy")
def list_entities_for_policy(call: Call) -> Result:
    """All at once: MaxItems is a bound that AWS may stay below or not, and the lists are short."""
    arn = managed_policies.get(call)["Arn"]
    wanted = call.parameters.get("EntityFilter")
    as_boundary = call.parameters.get("PolicyUsageFilter") == "PermissionsBoundary"
    answer: dict[str, Any] = {"IsTruncated": False}
    with call.platform.store.read() as reader:
        for kind in (GROUP, USER, ROLE):
            answer[f"Policy{kind.noun}s"] = [
                {member: document[member] for member in (kind.name_member, kind.id_member)}
                for _, document in entities(call, reader, kind)
                if wanted in (None, kind.noun)
                and (_bounded(document, arn) if as_boundary else arn in document.get("AttachedPolicies", ()))
            ]
    return answer


def refuse_unknown(call: Call, arn: str) -> None:
    with call.platform.store.read() as reader:
        if managed_policies.exists(reader, arn):
            return
    hint = ""
    if aws_managed.is_aws_managed(arn):
        hint = (
            " Colonnade brings those that ListPolicies with Scope=AWS shows; write others with CreatePolicy."
        )
    raise ServiceError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.{hint}", status=404)


def _bounded(document: dict[str, Any], arn: str) -> bool:
    boundary = document.get("PermissionsBoundary")
    return boundary is not None and boundary["PermissionsBoundaryArn"] == arn


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _path(arn: str) -> str:
    inside = arn.partition(":policy/")[2].rpartition("/")[0]
    return f"/{inside}/" if inside else "/"


for _kind in (USER, ROLE, GROUP):
    add("iam", f"Attach{_kind.noun}Policy", _attaches(_kind), effect=Effect.REAL)
    add("iam", f"Detach{_kind.noun}Policy", _detaches(_kind), effect=Effect.REAL)
    add("iam", f"ListAttached{_kind.noun}Policies", _lists(_kind), effect=Effect.REAL)
