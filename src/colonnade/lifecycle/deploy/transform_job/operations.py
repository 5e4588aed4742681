"""CreateTransformJob and its kin: what is accepted is kept, the reconciler does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Document
from colonnade.lifecycle.deploy.transform_job import TRANSFORM_JOBS, acceptance, states

TRANSFORM_JOBS.serve("Describe", "List")
_OF_MODEL = ("PrimaryContainer", "Containers", "ExecutionRoleArn")


@operation("sagemaker", "CreateTransformJob")
def create_transform_job(call: Call) -> Result:
    """The caller needs no iam:PassRole here: whoever created the model passed its role, and the job acts as that."""
    key = TRANSFORM_JOBS.key(call)
    with call.platform.store.read() as reader:
        if reader.get(key) is not None:
            raise TRANSFORM_JOBS.duplicate(key)
    model = acceptance.check(call)
    return TRANSFORM_JOBS.create(call, _document(call, model), active=True)


def _document(call: Call, model: Document) -> Mapping[str, Any]:
    """Members that a description has though the request had not, and what the reconciler goes by."""
    request = call.parameters
    token = call.platform.ids.token(10).lower()
    return {
        "TransformJobStatus": states.IN_PROGRESS,
        "TransformInput": {"CompressionType": "None", "SplitType": "None", **request["TransformInput"]},
        "TransformOutput": {"AssembleWith": "None", **request["TransformOutput"]},
        "DataProcessing": {
            "InputFilter": "$",
            "OutputFilter": "$",
            "JoinSource": "None",
            **request.get("DataProcessing", {}),
        },
        "_Model": {member: model[member] for member in _OF_MODEL if member in model},
        "_Works": [
            f"transform-{request['TransformJobName'].lower()}-{token}-{number}"
            for number in range(request["TransformResources"]["InstanceCount"])
        ],
    }


@operation("sagemaker", "StopTransformJob")
def stop_transform_job(call: Call) -> Result:
    key = TRANSFORM_JOBS.key(call)

    def edit(document: Document) -> None:
        status = document["TransformJobStatus"]
        if status in states.ENDED:
            raise validation(f"The request was rejected because the transform job is in status {status}.")
        document["TransformJobStatus"] = states.STOPPING

    with call.write() as transaction:
        if transaction.get(key) is None:
            raise validation(f"Could not find job to update with name: {call.parameters['TransformJobName']}")
        TRANSFORM_JOBS.change(transaction, key, edit, at=call.now)
    wake(call.platform, key)
    return {}
