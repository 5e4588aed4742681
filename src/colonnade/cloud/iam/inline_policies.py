"""Policies embedded in a user, role or group. The same four operations for each, so they are written once."""

from __future__ import annotations

import re
from collections.abc import Callable

from colonnade.cloud.iam.entities import GROUP, ROLE, USER, EntityType, editing, encoded, get, limit_exceeded
from colonnade.cloud.iam.pages import page
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Effect, Result, add
from colonnade.kernel.policy import parse

_SIZES = {USER: 2048, ROLE: 10240, GROUP: 5120}
"""Characters of all inline policies together, whitespace not counted."""


def _puts(kind: EntityType) -> Callable[[Call], None]:
    def put_policy(call: Call) -> None:
        parse(call.parameters["PolicyDocument"])
        with editing(call, kind) as document:
            policies = document.setdefault("InlinePolicies", {})
            policies[call.parameters["PolicyName"]] = call.parameters["PolicyDocument"]
            if sum(len(re.sub(r"\s", "", text)) for text in policies.values()) > _SIZES[kind]:
                raise limit_exceeded(
                    f"Maximum policy size of {_SIZES[kind]} bytes exceeded for {kind.type} {document[kind.name_member]}"
                )

    return put_policy


def _gets(kind: EntityType) -> Callable[[Call], Result]:
    def get_policy(call: Call) -> Result:
        document = get(call, kind)
        name = call.parameters["PolicyName"]
        if name not in document.get("InlinePolicies", {}):
            raise _no_such(kind, name)
        text = encoded(document["InlinePolicies"][name])
        return {kind.name_member: document[kind.name_member], "PolicyName": name, "PolicyDocument": text}

    return get_policy


def _lists(kind: EntityType) -> Callable[[Call], Result]:
    def list_policies(call: Call) -> Result:
        names = sorted(get(call, kind).get("InlinePolicies", ()))
        return page(call, "PolicyNames", ((name, name) for name in names), str)

    return list_policies


def _deletes(kind: EntityType) -> Callable[[Call], None]:
    def delete_policy(call: Call) -> None:
        with editing(call, kind) as document:
            if document.get("InlinePolicies", {}).pop(call.parameters["PolicyName"], None) is None:
                raise _no_such(kind, call.parameters["PolicyName"])

    return delete_policy


def _no_such(kind: EntityType, name: str) -> ServiceError:
    return ServiceError(
        "NoSuchEntity", f"The {kind.type} policy with name {name} cannot be found.", status=404
    )


for _kind in (USER, ROLE, GROUP):
    add("iam", f"Put{_kind.noun}Policy", _puts(_kind), effect=Effect.REAL)
    add("iam", f"Get{_kind.noun}Policy", _gets(_kind), effect=Effect.REAL)
    add("iam", f"List{_kind.noun}Policies", _lists(_kind), effect=Effect.REAL)
    add("iam", f"Delete{_kind.noun}Policy", _deletes(_kind), effect=Effect.REAL)
