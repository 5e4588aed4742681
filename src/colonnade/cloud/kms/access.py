"""Who may use a key: its policy is the root of all access, IAM policies count where it says so, and grants add to both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.cloud.kms import ciphertext
from colonnade.cloud.kms.keys import alias_arn, arn_of, by_arn, find, grants
from colonnade.kernel.operations import Call, Demand, finds_resources, judges
from colonnade.kernel.policy import Decision, Kind, Outcome, names_of, parse
from colonnade.kernel.ports import Principals
from colonnade.kernel.store import Query, Reader, Stored, each


@finds_resources("kms")
def key_of_call(call: Call) -> str:
    """The ARN of the key that a call names, itself or within its ciphertext."""
    key_id = call.parameters.get("KeyId")
    if key_id is None and "CiphertextBlob" in call.parameters:
        key_id = ciphertext.parse(call.parameters["CiphertextBlob"]).arn
    return "*" if key_id is None else _arn(call, key_id)


def _arn(call: Call, key_id: str) -> str:
    with call.platform.store.read() as reader:
        return arn_of(find(reader, call, key_id).key)


def on_alias_and_key(call: Call) -> Sequence[tuple[str, str]]:
    """CreateAlias, UpdateAlias: the alias's permission comes from IAM, the key's from its policy too."""
    action = f"kms:{call.operation}"
    name = call.parameters["AliasName"]
    return [(action, alias_arn(call, name)), (action, _arn(call, call.parameters["TargetKeyId"]))]


def anywhere(action: str) -> Demand:
    return lambda call: [(f"kms:{action}", "*")]


@judges("kms")
def judge(call: Call, action: str, resource: str, context: Mapping[str, Any] | None) -> Decision:
    principals = call.platform.the(Principals)
    known = {**_conditions(call, action), **(context or {})}
    if ":key/" not in resource:
        return principals.decide(call.principal, action, resource, known)
    with call.platform.store.read() as reader:
        stored = by_arn(reader, resource)
        if stored is None or stored.key.account != call.principal.account:
            return Decision(Outcome.IMPLICIT_DENY)
        known |= {name: stored.document[member] for name, member in OF_KEY.items()}
        tags = stored.document.get("_Tags", {})
        known |= {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
        policy = parse(stored.document["_Policy"], Kind.RESOURCE)
        decision = principals.decide_with(call.principal, action, resource, policy, known, alone=True)
        if decision.outcome is Outcome.IMPLICIT_DENY and _granted(reader, call, stored, action):
            return Decision(Outcome.ALLOWED, conditional=True)
        return decision


OF_KEY = {"kms:KeySpec": "KeySpec", "kms:KeyUsage": "KeyUsage", "kms:KeyOrigin": "Origin"}
OF_REQUEST = {
    "kms:EncryptionAlgorithm": "EncryptionAlgorithm",
    "kms:SigningAlgorithm": "SigningAlgorithm",
    "kms:MacAlgorithm": "MacAlgorithm",
    "kms:MessageType": "MessageType",
    "kms:DataKeyPairSpec": "KeyPairSpec",
    "kms:GrantOperations": "Operations",
    "kms:GranteePrincipal": "GranteePrincipal",
    "kms:RetiringPrincipal": "RetiringPrincipal",
    "kms:ScheduleKeyDeletionPendingWindowInDays": "PendingWindowInDays",
    "kms:BypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck",
}


def _conditions(call: Call, action: str) -> dict[str, Any]:
    """https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html"""
    context = context_of(call, action)
    known: dict[str, Any] = {"kms:CallerAccount": call.principal.account}
    known |= {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
    if context:
        known["kms:EncryptionContextKeys"] = list(context)
    known |= {
        name: call.parameters[member] for name, member in OF_REQUEST.items() if member in call.parameters
    }
    known["kms:GrantIsForAWSResource"] = "via" in call.details
    if "via" in call.details:
        known["kms:ViaService"] = call.details["via"]
    if str(call.parameters.get("KeyId", "")).startswith("alias/"):
        known["kms:RequestAlias"] = call.parameters["KeyId"]
    return known


def context_of(call: Call, action: str) -> Mapping[str, str]:
    member = {"kms:ReEncryptFrom": "Source", "kms:ReEncryptTo": "Destination"}.get(action, "")
    found: Mapping[str, str] = call.parameters.get(f"{member}EncryptionContext") or {}
    return found


def _granted(reader: Reader, call: Call, stored: Stored, action: str) -> bool:
    names = names_of(call.principal, with_account=False)
    key = stored.key
    scope = grants(key.partition, key.account, key.region)
    context = context_of(call, action)
    return any(
        grant.document.get("GranteePrincipal") in names
        and action.removeprefix("kms:") in grant.document["Operations"]
        and _constrained(grant.document.get("Constraints") or {}, context)
        for grant in each(reader, scope, Query(name_prefix=f"{key.name}/"))
    )


def _constrained(constraints: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    whole, part = constraints.get("EncryptionContextEquals"), constraints.get("EncryptionContextSubset")
    return (whole is None or whole == context) and (part is None or part.items() <= context.items())
