"""Templates of what people see while they label or review. A description tells the template's digest, not its text."""

from __future__ import annotations

import hashlib

from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Resource

HUMAN_TASK_UIS = Resource(
    "sagemaker",
    "HumanTaskUi",
    born={"HumanTaskUiStatus": "Active"},
    status_member="HumanTaskUiStatus",
    effect=Effect.STORED,
)
HUMAN_TASK_UIS.serve("Describe", "List", "Delete")


@operation("sagemaker", "CreateHumanTaskUi", effect=Effect.STORED)
def create_human_task_ui(call: Call) -> Result:
    template = call.parameters["UiTemplate"]
    digest = hashlib.sha256(template["Content"].encode()).hexdigest()
    return HUMAN_TASK_UIS.create(call, {"UiTemplate": {**template, "ContentSha256": digest}})
