"""Whether a caller may hand a role to the platform, for work that runs as that role."""

from __future__ import annotations

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.ports import Principals


def check_pass_role(call: Call, role_arn: str, service: str) -> None:
    """Raises AccessDeniedException unless the caller is allowed iam:PassRole on the role, to `service`
    (`sagemaker.amazonaws.com`). Without this check, whoever may create a job could act as any role."""
    if call.invoked_by and call.principal.identity_arn == role_arn:
        return  # What a resource creates runs as the resource's own role: it was passed when the resource was created.
    context = {"iam:PassedToService": service}
    if not call.platform.the(Principals).allows(call.principal, "iam:PassRole", role_arn, context):
        raise ServiceError(
            "AccessDeniedException",
            f"User: {call.principal.arn} is not authorized to perform: iam:PassRole on resource: {role_arn} because no "
            "identity-based policy allows the iam:PassRole action",
        )
