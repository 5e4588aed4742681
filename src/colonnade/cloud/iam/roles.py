"""IAM roles. The trust policy says who may assume one; STS and the platform's own parts ask it."""

from __future__ import annotations

from typing import Any

from colonnade.cloud.iam import boundaries, tags
from colonnade.cloud.iam.entities import ROLE, changing, create, editing, get, load, refuse_if_held, shown
from colonnade.cloud.iam.pages import list_entities
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.policy import Kind, parse

_HOUR = 3600


@operation("iam", "CreateRole")
def create_role(call: Call) -> Result:
    parse(call.parameters["AssumeRolePolicyDocument"], Kind.TRUST)
    more: dict[str, Any] = {
        "AssumeRolePolicyDocument": call.parameters["AssumeRolePolicyDocument"],
        "MaxSessionDuration": call.parameters.get("MaxSessionDuration", _HOUR),
        **_described(call),
        **tags.given(call),
        **boundaries.given(call),
    }
    with changing(call) as transaction:
        return {"Role": shown(ROLE, create(transaction, call, ROLE, more))}


@operation("iam", "GetRole")
def get_role(call: Call) -> Result:
    return {"Role": shown(ROLE, get(call, ROLE))}


@operation("iam", "ListRoles")
def list_roles(call: Call) -> Result:
    return list_entities(call, ROLE, "Roles")


@operation("iam", "UpdateRole")
def update_role(call: Call) -> Result:
    with editing(call, ROLE) as document:
        document |= _described(call)
        if "MaxSessionDuration" in call.parameters:
            document["MaxSessionDuration"] = call.parameters["MaxSessionDuration"]
    return {}


@operation("iam", "UpdateRoleDescription")
def update_role_description(call: Call) -> Result:
    with editing(call, ROLE) as document:
        document |= _described(call)
    return {"Role": shown(ROLE, document)}


@operation("iam", "UpdateAssumeRolePolicy")
def update_assume_role_policy(call: Call) -> None:
    parse(call.parameters["PolicyDocument"], Kind.TRUST)
    with editing(call, ROLE) as document:
        document["AssumeRolePolicyDocument"] = call.parameters["PolicyDocument"]


@operation("iam", "DeleteRole")
def delete_role(call: Call) -> None:
    with changing(call) as transaction:
        stored = load(transaction, call, ROLE, call.parameters["RoleName"])
        refuse_if_held(stored.document)
        transaction.delete(stored.key)


@operation("iam", "ListInstanceProfilesForRole")
def list_instance_profiles_for_role(call: Call) -> Result:
    """There are no instances here, hence no profiles; those who delete roles ask first."""
    get(call, ROLE)
    return {"InstanceProfiles": [], "IsTruncated": False}


def _described(call: Call) -> dict[str, Any]:
    return {"Description": call.parameters["Description"]} if "Description" in call.parameters else {}
