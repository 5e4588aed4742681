"""Model packages: what a model is made of and what is known of it, approved or not, ready to be deployed.

Versioned in a group (`model-package/churn/3`: numbers count up and are not given twice) or with a name of its own.
"""

from __future__ import annotations

from typing import Any

from colonnade.kernel import members, models
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document, Stored
from colonnade.lifecycle.catalog.model_package_group import MODEL_PACKAGE_GROUPS


def _place(call: Call, document: Document) -> str:
    if "ModelPackageGroupName" in document:
        return f"{document['ModelPackageGroupName']}/{document['ModelPackageVersion']}"
    return str(document["ModelPackageName"])


MODEL_PACKAGES = Resource(
    "sagemaker",
    "ModelPackage",
    generate=_place,
    within={"ModelPackageGroupName": MODEL_PACKAGE_GROUPS},
    numbered="ModelPackageVersion",
    born={
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    },
    merged=["CustomerMetadataProperties"],
    not_yet={
        "ValidationSpecification": "Leave it out: nothing would run its jobs.",
        "CertifyForMarketplace": "Leave it out.",
    },
    missing=Refusal("ValidationException", "ModelPackage {arn} does not exist."),
    duplicate=Refusal("ValidationException", "ModelPackage already exists: {arn}"),
    status_member="ModelPackageStatus",
    effect=Effect.STORED,
)
MODEL_PACKAGES.serve("Delete")


@operation("sagemaker", "CreateModelPackage", effect=Effect.STORED)
def create_model_package(call: Call) -> Result:
    versioned = "ModelPackageGroupName" in call.parameters
    if versioned == ("ModelPackageName" in call.parameters):
        raise validation("Give exactly one of ModelPackageName and ModelPackageGroupName.")
    if not versioned and "ModelApprovalStatus" in call.parameters:
        raise validation("ModelApprovalStatus is for versions of a ModelPackageGroup: leave it out.")
    approval = call.parameters.get("ModelApprovalStatus", "PendingManualApproval")
    return MODEL_PACKAGES.create(call, {"ModelApprovalStatus": approval} if versioned else {})


@operation("sagemaker", "DescribeModelPackage", effect=Effect.STORED)
def describe_model_package(call: Call) -> Result:
    answer = dict(MODEL_PACKAGES.describe(call))
    if call.parameters.get("IncludedData") == "MetadataOnly" and "ModelCard" in answer:
        answer["ModelCard"] = {**answer["ModelCard"], "ModelCardContent": ""}
    return answer


@operation("sagemaker", "UpdateModelPackage", effect=Effect.STORED)
def update_model_package(call: Call) -> Result:
    key = MODEL_PACKAGES.key(call, call.parameters["ModelPackageArn"])
    given = {
        member: value
        for member, value in call.parameters.items()
        if member not in ("ModelPackageArn", "ClientToken")
    }

    def edit(document: Document) -> None:
        if "ModelApprovalStatus" in given and "ModelPackageGroupName" not in document:
            raise validation("ModelApprovalStatus is for versions of a ModelPackageGroup: leave it out.")
        members.update(document, given, MODEL_PACKAGES.merged)

    with call.write() as transaction:
        stored = MODEL_PACKAGES.change(transaction, key, edit, at=call.now)
    return MODEL_PACKAGES.answer(call, stored)


@operation("sagemaker", "ListModelPackages", effect=Effect.STORED)
def list_model_packages(call: Call) -> Result:
    """Without a group: those that are not versioned, unless ModelPackageType asks for others."""
    usual = "Versioned" if "ModelPackageGroupName" in call.parameters else "Unversioned"
    wanted = call.parameters.get("ModelPackageType", usual)

    def keep(package: Stored) -> bool:
        return wanted in ("Both", "Versioned" if "ModelPackageVersion" in package.document else "Unversioned")

    return MODEL_PACKAGES.list(call, keep=keep, kept=["ModelPackageType"])


def _each_package(call: Call) -> list[tuple[str, str]]:
    arns = call.parameters["ModelPackageArnList"]
    return [("sagemaker:BatchDescribeModelPackage", arn) for arn in arns]


@operation("sagemaker", "BatchDescribeModelPackage", effect=Effect.STORED, demand=_each_package)
def batch_describe_model_package(call: Call) -> Result:
    shape = models.operation("sagemaker", "BatchDescribeModelPackage").output_shape
    assert shape is not None
    summary = shape.members["ModelPackageSummaries"].value
    found: dict[str, Any] = {}
    failed: dict[str, Any] = {}
    for arn in call.parameters["ModelPackageArnList"]:
        try:
            stored = MODEL_PACKAGES.find(call.platform, MODEL_PACKAGES.key(call, arn))
            found[arn] = MODEL_PACKAGES.show(summary, stored)
        except ServiceError as error:
            failed[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": failed}
