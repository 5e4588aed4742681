"""AssumeRole: another's rights for a while, if its trust policy says so.

A trust policy that names the caller is enough; one that names the caller's account leaves the choice to the account, so the
caller's own policies must allow sts:AssumeRole as well. An explicit deny on either side wins. Unlike at AWS, root may assume the
roles that trust its account: root is who a fresh installation starts with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from colonnade.cloud.sts.sessions import give
from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, invoke, operation
from colonnade.kernel.policy import Kind, Outcome, decide, names_of, parse
from colonnade.kernel.ports import Principal, Principals

_HOUR = 3600
_POLICY_SIZE = 2048
_UNSUPPORTED = (
    "Tags",
    "TransitiveTagKeys",
    "SourceIdentity",
    "SerialNumber",
    "TokenCode",
    "ProvidedContexts",
)


@operation("sts", "AssumeRole", demand=lambda call: [])
def assume_role(call: Call) -> Result:
    for member in _UNSUPPORTED:
        if call.parameters.get(member):
            raise _invalid(f"Colonnade does not support {member} of AssumeRole yet: leave it out.")
    role = _role(call)
    if role is None or not _may(call, role):
        raise ServiceError(
            "AccessDenied",
            f"User: {call.principal.arn} is not authorized to perform: sts:AssumeRole on resource: "
            f"{call.parameters['RoleArn']}",
            status=403,
        )
    seconds = _duration(call, role)
    policies = _session_policies(call)
    principal = replace(_session(role, call.parameters["RoleSessionName"]), session_policies=policies)
    answer: dict[str, Any] = {
        "Credentials": give(call, principal, seconds),
        "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
    }
    if policies:
        answer["PackedPolicySize"] = max(1, 100 * sum(map(len, policies)) // _POLICY_SIZE)
    return answer


def _role(call: Call) -> Mapping[str, Any] | None:
    """The role as IAM describes it; None where the ARN names none."""
    arn = call.parameters["RoleArn"]
    try:
        parsed = Arn.parse(arn)
    except ValueError:
        raise _invalid(f"{arn} is invalid") from None
    if parsed.service != "iam" or parsed.kind != "role":
        return None
    name = parsed.resource.rpartition("/")[2]
    try:
        role: Mapping[str, Any] = _ask_iam(call, parsed.account, "GetRole", {"RoleName": name})["Role"]
    except ServiceError as error:
        if error.code == "NoSuchEntity":
            return None
        raise
    return role if role["Arn"] == arn else None


def _may(call: Call, role: Mapping[str, Any]) -> bool:
    arn, who = role["Arn"], call.principal
    context: dict[str, Any] = {
        "aws:PrincipalArn": who.identity_arn or who.arn,
        "aws:PrincipalAccount": who.account,
        "aws:userid": who.user_id,
        "sts:RoleSessionName": call.parameters["RoleSessionName"],
    }
    if call.source:
        context["aws:SourceIp"] = call.source
    if "ExternalId" in call.parameters:
        context["sts:ExternalId"] = call.parameters["ExternalId"]
    trust = [parse(unquote(role["AssumeRolePolicyDocument"]), Kind.TRUST)]
    trusted = decide(trust, "sts:AssumeRole", arn, names=names_of(who), context=context)
    own = call.platform.the(Principals).decide(who, "sts:AssumeRole", arn, context)
    if not trusted.allowed or own.outcome is Outcome.EXPLICIT_DENY:
        return False
    by_name = decide(trust, "sts:AssumeRole", arn, names=names_of(who, with_account=False), context=context)
    return own.allowed or (by_name.allowed and Arn.parse(arn).account == who.account)


def _duration(call: Call, role: Mapping[str, Any]) -> int:
    seconds = int(call.parameters.get("DurationSeconds", _HOUR))
    if seconds > role["MaxSessionDuration"]:
        raise _invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if call.principal.kind == "role" and seconds > _HOUR:
        raise _invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    return seconds


def _session_policies(call: Call) -> tuple[str, ...]:
    given = [call.parameters["Policy"]] if "Policy" in call.parameters else []
    for text in given:
        parse(text)
    return (*given, *(_managed(call, each["arn"]) for each in call.parameters.get("PolicyArns", ())))


def _managed(call: Call, arn: str) -> str:
    policy = _ask_iam(call, call.account, "GetPolicy", {"PolicyArn": arn})["Policy"]
    asked = {"PolicyArn": arn, "VersionId": policy["DefaultVersionId"]}
    version = _ask_iam(call, call.account, "GetPolicyVersion", asked)["PolicyVersion"]
    return unquote(version["Document"])


def _ask_iam(call: Call, account: str, operation: str, parameters: Mapping[str, Any]) -> Result:
    """On the account's own behalf: the caller of AssumeRole needs no right to read IAM."""
    arn = f"arn:{call.partition}:iam::{account}:root"
    root = Principal(arn=arn, account=account, user_id=account, kind="root", identity_arn=arn)
    return invoke(
        call.platform,
        "iam",
        operation,
        parameters,
        principal=root,
        region=call.region,
        owner="sts:AssumeRole",
    )


def _session(role: Mapping[str, Any], name: str) -> Principal:
    arn = Arn.parse(role["Arn"])
    return Principal(
        arn=f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{role['RoleName']}/{name}",
        account=arn.account,
        user_id=f"{role['RoleId']}:{name}",
        kind="role",
        identity_arn=role["Arn"],
    )


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message, status=400)
