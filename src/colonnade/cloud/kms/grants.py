"""CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.

Grants hold at once, so that grant tokens, which AWS has for the time until they do, only name the grant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from colonnade.cloud.kms.keys import alive, arn_of, find, grants, page, rehearsed, usable
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation, ruling
from colonnade.kernel.policy import Outcome, names_of
from colonnade.kernel.store import Query, Reader, Stored, each

_PRINCIPAL = re.compile(r"arn:[a-z-]+:(iam|sts)::\d{12}:.+")


@operation("kms", "CreateGrant")
def create(call: Call) -> Result:
    parameters = call.parameters
    for member in ("GranteePrincipal", "RetiringPrincipal"):
        if member in parameters and not _PRINCIPAL.fullmatch(parameters[member]):
            raise ServiceError(
                "InvalidArnException", f"{member} {parameters[member]} is not the ARN of a principal."
            )
    if "GranteePrincipal" not in parameters:
        raise ServiceError(
            "ValidationException", "GranteePrincipal is required: service principals are not built."
        )
    with call.write() as transaction:
        stored = find(transaction, call, parameters["KeyId"])
        usable(stored)
        rehearsed(call)
        same = _same(transaction, call, stored)
        if same is not None:
            return _told(same)
        # Ids are guessable to nobody: a token in place of a grant is the right to retire it.
        grant_id = (call.platform.ids.uuid() + call.platform.ids.uuid()).replace("-", "")
        given = ("Name", "GranteePrincipal", "RetiringPrincipal", "Operations", "Constraints")
        document = {member: parameters[member] for member in given if member in parameters}
        document |= {
            "KeyId": arn_of(stored.key),
            "GrantId": grant_id,
            "IssuingAccount": f"arn:{call.partition}:iam::{call.account}:root",
            "CreationDate": call.now,
        }
        key = _scope(stored).key(f"{stored.key.name}/{grant_id}")
        return _told(transaction.put(key, document, expect=0, at=call.now))


def _scope(stored: Stored) -> Any:
    return grants(stored.key.partition, stored.key.account, stored.key.region)


def _same(reader: Reader, call: Call, stored: Stored) -> Stored | None:
    """A named grant is made once, however often it is asked for."""
    if "Name" not in call.parameters:
        return None
    wanted = {
        member: call.parameters.get(member)
        for member in ("Name", "GranteePrincipal", "Operations", "Constraints")
    }
    for row in each(reader, _scope(stored), Query(name_prefix=f"{stored.key.name}/")):
        if all(row.document.get(member) == value for member, value in wanted.items()):
            return row
    return None


def _told(stored: Stored) -> Result:
    return {"GrantId": stored.document["GrantId"], "GrantToken": _token(stored)}


def _token(stored: Stored) -> str:
    return stored.key.name.replace("/", "_")


@operation("kms", "ListGrants")
def list_of_key(call: Call) -> Result:
    with call.platform.store.read() as reader:
        stored = find(reader, call, call.parameters["KeyId"])
        rows, more = page(call, reader, _scope(stored), f"{stored.key.name}/", usual=50)
    wanted = {
        member: call.parameters[member]
        for member in ("GrantId", "GranteePrincipal")
        if member in call.parameters
    }
    kept = [row.document for row in rows if wanted.items() <= row.document.items()]
    return {"Grants": kept, **more}


@operation("kms", "ListRetirableGrants", demand=lambda call: [("kms:ListRetirableGrants", "*")])
def list_retirable(call: Call) -> Result:
    retiring = call.parameters.get("RetiringPrincipal")
    with call.platform.store.read() as reader:
        rows, more = page(call, reader, grants(call.partition, call.account, call.region), usual=50)
    return {
        "Grants": [row.document for row in rows if row.document.get("RetiringPrincipal") == retiring],
        **more,
    }


def _find(reader: Reader, call: Call) -> Stored:
    parameters = call.parameters
    if "GrantToken" in parameters:
        key_id, _, grant_id = parameters["GrantToken"].partition("_")
        found = reader.get(grants(call.partition, call.account, call.region).key(f"{key_id}/{grant_id}"))
        if found is None:
            raise ServiceError("InvalidGrantTokenException", "The grant token names no grant.")
        return found
    if "KeyId" not in parameters or "GrantId" not in parameters:
        raise ServiceError("ValidationException", "Give a GrantToken, or KeyId and GrantId.")
    stored = find(reader, call, parameters["KeyId"])
    found = reader.get(_scope(stored).key(f"{stored.key.name}/{parameters['GrantId']}"))
    if found is None:
        raise ServiceError("NotFoundException", f"Grant ID {parameters['GrantId']} not found")
    return found


def _by_itself(call: Call) -> Sequence[tuple[str, str]]:
    """Retiring is allowed by the grant itself, so `retire` asks."""
    return []


@operation("kms", "RetireGrant", demand=_by_itself)
def retire(call: Call) -> Result:
    with call.platform.store.read() as reader:
        stored = _find(reader, call)
    _check_may_retire(call, stored)
    rehearsed(call)
    with call.write() as transaction:
        transaction.delete(stored.key)
    return {}


def _check_may_retire(call: Call, stored: Stored) -> None:
    """The retiring principal may, the grantee where RetireGrant is granted, and whom policies allow it."""
    names, grant = names_of(call.principal, with_account=call.principal.kind == "root"), stored.document
    arn: str = grant["KeyId"]
    decision = ruling(call, "kms:RetireGrant", arn, service="kms")
    retires = grant.get("RetiringPrincipal") in names
    if decision.allowed or (retires and decision.outcome is not Outcome.EXPLICIT_DENY):
        return
    raise ServiceError(
        "AccessDeniedException",
        f"User: {call.principal.arn} is not authorized to perform: kms:RetireGrant on resource: {arn} because it is not the "
        "grant's retiring principal, and no policy allows the action",
    )


@operation("kms", "RevokeGrant")
def revoke(call: Call) -> Result:
    with call.write() as transaction:
        alive(find(transaction, call, call.parameters["KeyId"]))
        stored = _find(transaction, call)
        rehearsed(call)
        transaction.delete(stored.key)
    return {}
