"""Permissions boundaries: a managed policy that bounds what a user's or role's own policies can allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colonnade.cloud.iam.attached_policies import refuse_unknown
from colonnade.cloud.iam.entities import ROLE, USER, EntityType, editing
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Effect, add


def given(call: Call) -> dict[str, Any]:
    """The member to store, if the call brings a boundary."""
    arn = call.parameters.get("PermissionsBoundary")
    if arn is None:
        return {}
    refuse_unknown(call, arn)
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}}


def _puts(kind: EntityType) -> Callable[[Call], None]:
    def put_boundary(call: Call) -> None:
        boundary = given(call)
        with editing(call, kind) as document:
            document |= boundary

    return put_boundary


def _deletes(kind: EntityType) -> Callable[[Call], None]:
    def delete_boundary(call: Call) -> None:
        with editing(call, kind) as document:
            if document.pop("PermissionsBoundary", None) is None:
                raise ServiceError(
                    "NoSuchEntity",
                    f"The {kind.type} {document[kind.name_member]} has no permissions boundary.",
                    status=404,
                )

    return delete_boundary


for _kind in (USER, ROLE):
    add("iam", f"Put{_kind.noun}PermissionsBoundary", _puts(_kind), effect=Effect.REAL)
    add("iam", f"Delete{_kind.noun}PermissionsBoundary", _deletes(_kind), effect=Effect.REAL)
