"""Endpoint configurations: which models, how many instances of each, and their shares of the traffic. Never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.lifecycle.deploy.endpoint import asynchronous, capture
from colonnade.lifecycle.deploy.model.operations import MODELS
from colonnade.lifecycle.deploy.refusals import not_yet, refuse

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
    "ServerlessConfig": "Give InitialInstanceCount and InstanceType.",
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
    capture.check(call.parameters)
    asynchronous.check(call.parameters)
    return ENDPOINT_CONFIGS.create(call)


def _check(call: Call, variant: Mapping[str, Any]) -> None:
    refuse(variant, _NOT_YET_IN_VARIANT)
    if "ModelName" not in variant:
        raise not_yet("variants without a ModelName (inference components)", "Name a model.")
    for member in ("InitialInstanceCount", "InstanceType"):
        if member not in variant:
            raise validation(f"Variant {variant['VariantName']} must give {member}.")
    MODELS.find(call.platform, MODELS.key(call, variant["ModelName"]))
