"""CreateTrainingJob and its kin: what is accepted is kept, the reconciler does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Document
from colonnade.lifecycle.train.training_job import TRAINING_JOBS, acceptance, states

TRAINING_JOBS.serve("Describe", "List")


@operation("sagemaker", "CreateTrainingJob")
def create_training_job(call: Call) -> Result:
    key = TRAINING_JOBS.key(call)
    with call.platform.store.read() as reader:
        if reader.get(key) is not None:
            raise TRAINING_JOBS.duplicate(key)
    acceptance.check(call)
    return TRAINING_JOBS.create(call, {**_defaults(call), **states.born(call.now)}, active=True)


def _defaults(call: Call) -> Mapping[str, Any]:
    """Members that a description has though the request had not, and what the reconciler goes by."""
    request = call.parameters
    token = call.platform.ids.token(10).lower()
    return {
        "AlgorithmSpecification": {"TrainingInputMode": "File", **request["AlgorithmSpecification"]},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400, **request.get("StoppingCondition", {})},
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": request.get("EnableInterContainerTrafficEncryption", False),
        "EnableManagedSpotTraining": request.get("EnableManagedSpotTraining", False),
        "_Work": f"train-{request['TrainingJobName'].lower()}-{token}",
        "_LogStream": f"{request['TrainingJobName']}/algo-1-{int(call.now)}",
    }


@operation("sagemaker", "StopTrainingJob")
def stop_training_job(call: Call) -> Result:
    key = TRAINING_JOBS.key(call)

    def edit(document: Document) -> None:
        status = document["TrainingJobStatus"]
        if status in states.ENDED:
            raise validation(f"The request was rejected because the training job is in status {status}.")
        document["TrainingJobStatus"] = states.STOPPING
        states.enter(document, "Stopping", call.now)

    with call.write() as transaction:
        TRAINING_JOBS.change(transaction, key, edit, at=call.now)
    wake(call.platform, key)
    return {}


@operation("sagemaker", "DeleteTrainingJob")
def delete_training_job(call: Call) -> Result:
    """Its artefacts in S3 and its log stay, as on AWS."""
    key = TRAINING_JOBS.key(call)
    with call.write() as transaction:
        status = TRAINING_JOBS.get(transaction, key).document["TrainingJobStatus"]
        if status not in states.ENDED:
            raise validation(
                f"The request was rejected because the training job is in status {status}. Stop it first: jobs that are "
                "Completed, Failed or Stopped can be deleted."
            )
        TRAINING_JOBS.remove(transaction, key, at=call.now)
    return {}
