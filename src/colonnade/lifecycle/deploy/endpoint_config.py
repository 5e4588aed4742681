"""Endpoint configurations: which models, how many instances of each, and their shares of the traffic. Never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.passed_roles import check_pass_role
from colonnade.kernel.resources import Refusal, Resource
from colonnade.lifecycle.deploy.endpoint import asynchronous, capture, serverless
from colonnade.lifecycle.deploy.model.operations import MODELS, containers_of, is_multi_model
from colonnade.lifecycle.deploy.refusals import not_yet, refuse
from colonnade.serving.machines import machine

ENDPOINT_CONFIGS = Resource(
    "sagemaker",
    "EndpointConfig",
    arn_kind="endpoint-config",
    missing=Refusal("ValidationException", 'Could not find endpoint configuration "{arn}".'),
    duplicate=Refusal(
        "ValidationException", 'Cannot create already existing endpoint configuration "{arn}".'
    ),
    effect=Effect.STORED,
)
ENDPOINT_CONFIGS.serve("Describe", "List", "Delete")

_NOT_YET = {
    "ExplainerConfig": "Leave it out.",
    "ShadowProductionVariants": "Leave them out.",
    "VpcConfig": "Leave it out.",
    "EnableNetworkIsolation": "Leave it out.",
    "KmsKeyId": "Instances have no volumes of their own, but folders on the server's disk: encrypt that, and leave it out.",
    "MetricsConfig": "Leave it out.",
    "CrossRegionTrafficConfig": "Leave it out.",
}
_NOT_YET_IN_VARIANT = {
    "InstancePools": "Give InitialInstanceCount and InstanceType.",
    "ManagedInstanceScaling": "Give InitialInstanceCount.",
    "AcceleratorType": "Leave it out.",
    "CoreDumpConfig": "Leave it out.",
    "EnableSSMAccess": "Leave it out.",
    "CapacityReservationConfig": "Leave it out.",
    "AcceleratorPartitionLayouts": "Leave them out.",
}


@operation("sagemaker", "CreateEndpointConfig", effect=Effect.STORED)
def create_endpoint_config(call: Call) -> Result:
    refuse(call.parameters, _NOT_YET)
    variants = call.parameters["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) != len(names):
        raise validation(
            f"Variant names must be unique within an endpoint configuration: {', '.join(names)}."
        )
    for variant in variants:
        _check(call, variant)
    _check_shared(call, variants)
    capture.check(call.parameters)
    asynchronous.check(call.parameters)
    serverless.check(call.parameters)
    return ENDPOINT_CONFIGS.create(call)


def _check(call: Call, variant: Mapping[str, Any]) -> None:
    refuse(variant, _NOT_YET_IN_VARIANT)
    if "ServerlessConfig" in variant:
        if "ModelName" not in variant:
            raise validation(
                f"Variant {variant['VariantName']} has ServerlessConfig: it must give ModelName."
            )
        serverless.check_model(MODELS.find(call.platform, MODELS.key(call, variant["ModelName"])).document)
        return
    for member in ("InitialInstanceCount", "InstanceType"):
        if member not in variant:
            raise validation(f"Variant {variant['VariantName']} must give {member}.")
    if "ModelName" in variant:
        model = MODELS.find(call.platform, MODELS.key(call, variant["ModelName"])).document
        if "AsyncInferenceConfig" in call.parameters and is_multi_model(containers_of(model)[0]):
            raise validation(
                f"The model of variant {variant['VariantName']} is of Mode MultiModel, and requests of an asynchronous endpoint "
                "name no TargetModel: leave AsyncInferenceConfig out."
            )


def _check_shared(call: Call, variants: Sequence[Mapping[str, Any]]) -> None:
    """Variants without a ModelName are for inference components, which need to know what there is to share."""
    shared = [variant for variant in variants if "ModelName" not in variant]
    if not shared:
        return
    if len(shared) < len(variants):
        raise validation(
            "Either all variants of an endpoint configuration have a ModelName, or none has (inference components)."
        )
    if "ExecutionRoleArn" not in call.parameters:
        raise validation(
            "ExecutionRoleArn must be given for variants without a ModelName (inference components)."
        )
    check_pass_role(call, call.parameters["ExecutionRoleArn"], "sagemaker.amazonaws.com")
    if "AsyncInferenceConfig" in call.parameters:
        raise validation(
            "An asynchronous endpoint hosts no inference components: give its variants a ModelName."
        )
    if capture.is_on(call.parameters):
        raise not_yet("DataCaptureConfig with inference components", "Leave it out.")
    for variant in shared:
        if machine(variant["InstanceType"]) is None:
            raise not_yet(
                f"inference components on {variant['InstanceType']}, of which is not known here what it has",
                "Choose a type of the families t2, m, c, r or g.",
            )
