"""Workforces: whose identity provider, or which user pool, lets people in to label and review."""

from __future__ import annotations

from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Effect, Result, operation, with_parameters
from colonnade.kernel.resources import Refusal, Resource

WORKFORCES = Resource(
    "sagemaker",
    "Workforce",
    born={"Status": "Active"},
    missing=Refusal("ValidationException", 'No workforce found with the name "{name}" ("{arn}").'),
    in_use="ResourceInUse",
    status_member="Status",
    effect=Effect.STORED,
)
WORKFORCES.serve("Describe", "List", "Delete")


@operation("sagemaker", "CreateWorkforce", effect=Effect.STORED)
def create_workforce(call: Call) -> Result:
    if ("CognitoConfig" in call.parameters) == ("OidcConfig" in call.parameters):
        raise validation("Give exactly one of CognitoConfig and OidcConfig.")
    return WORKFORCES.create(_without_secret(call))


@operation("sagemaker", "UpdateWorkforce", effect=Effect.STORED)
def update_workforce(call: Call) -> Result:
    return WORKFORCES.replace_members(_without_secret(call))


def _without_secret(call: Call) -> Call:
    """No answer has it and nothing here uses it, so it is not kept."""
    oidc = call.parameters.get("OidcConfig")
    if oidc is None:
        return call
    kept = {member: value for member, value in oidc.items() if member != "ClientSecret"}
    return with_parameters(call, OidcConfig=kept)
