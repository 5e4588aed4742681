"""Work teams: who of a workforce does which work, and how they are told of it."""

from __future__ import annotations

from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.lifecycle.data.workforce import WORKFORCES

WORKTEAMS = Resource(
    "sagemaker",
    "Workteam",
    within={"WorkforceName": WORKFORCES},
    missing=Refusal("ValidationException", 'The work team "{arn}" does not exist.'),
    effect=Effect.STORED,
)
WORKTEAMS.serve("Describe", "List", "Update")


@operation("sagemaker", "CreateWorkteam", effect=Effect.STORED)
def create_workteam(call: Call) -> Result:
    workforce = call.parameters.get("WorkforceName")
    if workforce is None:
        return WORKTEAMS.create(call)
    return WORKTEAMS.create(call, {"WorkforceArn": WORKFORCES.arn(WORKFORCES.key(call, workforce))})


@operation("sagemaker", "DeleteWorkteam", effect=Effect.STORED)
def delete_workteam(call: Call) -> Result:
    WORKTEAMS.delete(call)
    return {"Success": True}
