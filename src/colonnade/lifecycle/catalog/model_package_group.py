"""Model package groups: a model's history, version by version, and the policy that would share it."""

from __future__ import annotations

from colonnade.kernel import json_text
from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document

MODEL_PACKAGE_GROUPS = Resource(
    "sagemaker",
    "ModelPackageGroup",
    born={"ModelPackageGroupStatus": "Completed"},
    derived=lambda _: {"CrossAccountFilterOption": "SameAccount"},
    missing=Refusal("ValidationException", "ModelPackageGroup {arn} does not exist."),
    duplicate=Refusal("ValidationException", "Model Package Group already exists: {arn}"),
    status_member="ModelPackageGroupStatus",
    effect=Effect.STORED,
)
MODEL_PACKAGE_GROUPS.serve("Create", "Describe", "List", "Delete")


@operation("sagemaker", "PutModelPackageGroupPolicy", effect=Effect.STORED)
def put_model_package_group_policy(call: Call) -> Result:
    policy = call.parameters["ResourcePolicy"]
    try:
        json_text.read(policy)
    except ValueError as error:
        raise validation(f"ResourcePolicy is not JSON: {error}.") from None

    def edit(document: Document) -> None:
        document["_Policy"] = policy

    with call.write() as transaction:
        stored = MODEL_PACKAGE_GROUPS.change(transaction, MODEL_PACKAGE_GROUPS.key(call), edit, at=call.now)
    return MODEL_PACKAGE_GROUPS.answer(call, stored)


@operation("sagemaker", "GetModelPackageGroupPolicy", effect=Effect.STORED)
def get_model_package_group_policy(call: Call) -> Result:
    policy = MODEL_PACKAGE_GROUPS.find(call.platform, MODEL_PACKAGE_GROUPS.key(call)).document.get("_Policy")
    if policy is None:
        raise _no_policy(call)
    return {"ResourcePolicy": policy}


@operation("sagemaker", "DeleteModelPackageGroupPolicy", effect=Effect.STORED)
def delete_model_package_group_policy(call: Call) -> Result:
    def edit(document: Document) -> None:
        if document.pop("_Policy", None) is None:
            raise _no_policy(call)

    with call.write() as transaction:
        MODEL_PACKAGE_GROUPS.change(transaction, MODEL_PACKAGE_GROUPS.key(call), edit, at=call.now)
    return {}


def _no_policy(call: Call) -> Exception:
    return validation(f"Cannot find resource policy for: {call.parameters['ModelPackageGroupName']}")
