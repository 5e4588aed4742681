"""Which ARN an IAM call acts on, for policies about IAM itself."""

from __future__ import annotations

from colonnade.cloud.iam.entities import GROUP, ROLE, USER, key
from colonnade.kernel.operations import Call, finds_resources


@finds_resources("iam")
def target(call: Call) -> str:
    """A group before its user (AddUserToGroup); a policy only where no entity is named (AttachUserPolicy is about the user)."""
    for kind in (GROUP, ROLE, USER):
        name = call.parameters.get(kind.name_member)
        if name is not None:
            with call.platform.store.read() as reader:
                stored = reader.get(key(call, kind, name))
            path = call.parameters.get("Path", "/")
            new = f"arn:{call.partition}:iam::{call.account}:{kind.type}{path}{name}"
            return str(stored.document["Arn"]) if stored else new
    for member in ("PolicyArn", "PolicySourceArn"):
        if member in call.parameters:
            return str(call.parameters[member])
    if "PolicyName" in call.parameters:
        path = call.parameters.get("Path", "/")
        return f"arn:{call.partition}:iam::{call.account}:policy{path}{call.parameters['PolicyName']}"
    own = call.operation == "GetUser" or "AccessKey" in call.operation
    return call.principal.identity_arn or call.principal.arn if own else "*"
