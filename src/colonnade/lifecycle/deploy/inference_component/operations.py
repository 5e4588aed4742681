"""The operations on inference components. They write down what shall be; the reconciler makes it so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.reconcile import wake
from colonnade.kernel.resources import Edit
from colonnade.kernel.store import Document
from colonnade.lifecycle.deploy.endpoint import states
from colonnade.lifecycle.deploy.endpoint.states import ENDPOINTS
from colonnade.lifecycle.deploy.inference_component.states import (
    COMPONENTS,
    endpoint_of,
    needs,
    refuse_in_progress,
)
from colonnade.lifecycle.deploy.model.operations import (
    MODELS,
    check_server,
    containers_of,
    hostnames_of,
    is_multi_model,
    processes_of,
)
from colonnade.lifecycle.deploy.refusals import not_yet, refuse

COMPONENTS.serve("Describe", "List")
_NOT_YET = {"Specifications": "Give one Specification.", "DeploymentConfig": "Leave it out."}
_NOT_YET_IN_SPECIFICATION = {
    "InstanceType": "Leave it out: the variant says it.",
    "BaseInferenceComponentName": "Adapters on a base component are not served: give a whole model.",
    "DataCacheConfig": "Model data is kept by what it holds in any case: leave it out.",
    "SchedulingConfig": "Leave it out.",
}
_NOT_YET_IN_COMPUTE = {
    "NumberOfAcceleratorDevicesRequired": "Leave it out.",
    "AcceleratorPartitionType": "Leave it out.",
    "MaxMemoryRequiredInMb": "Memory is accounted for, and not limited: leave it out.",
}


@operation("sagemaker", "CreateInferenceComponent")
def create_inference_component(call: Call) -> Result:
    endpoint = ENDPOINTS.find(call.platform, ENDPOINTS.key(call, call.parameters["EndpointName"])).document
    on = _variant_of(call, endpoint)
    specification = _checked(call, call.parameters)
    if "RuntimeConfig" not in call.parameters:
        raise validation("RuntimeConfig must be given, with the CopyCount.")
    document: Document = {
        "InferenceComponentStatus": states.CREATING,
        "LastModifiedTime": call.now,
        "VariantName": on["VariantName"],
        "EndpointArn": endpoint["EndpointArn"],
        "_id": call.platform.ids.token(8).lower(),
    }
    count = call.parameters["RuntimeConfig"]["CopyCount"]
    document["_next"] = _plan(call, document, specification, on, count)
    return COMPONENTS.create(call, document, active=True, also=_still_there)


def _still_there(transaction: Any, key: Any) -> None:
    """The endpoint may have begun to go since it was looked at."""
    document = COMPONENTS.get(transaction, key).document
    states.refuse_unless_changeable(ENDPOINTS.get(transaction, endpoint_of(key, document)).document)


@operation("sagemaker", "UpdateInferenceComponent")
def update_inference_component(call: Call) -> Result:
    """The new copies come up beside the old ones and take their place once all of them are ready."""
    before = COMPONENTS.find(call.platform, COMPONENTS.key(call)).document
    refuse_in_progress(before)
    endpoint = ENDPOINTS.find(call.platform, ENDPOINTS.key(call, before["EndpointName"])).document
    on = _variant_of(call, endpoint, before["VariantName"])
    refuse(call.parameters, _NOT_YET)
    if "Specification" not in call.parameters:
        return _recount(call, call.parameters.get("RuntimeConfig"))
    specification = _checked(call, call.parameters)

    def edit(document: Document) -> None:
        refuse_in_progress(document)
        given = call.parameters.get("RuntimeConfig")
        count = given["CopyCount"] if given else _copies(document)
        states.begin(document, _plan(call, document, specification, on, count), call.now)

    return _change(call, edit)


@operation("sagemaker", "UpdateInferenceComponentRuntimeConfig")
def update_runtime_config(call: Call) -> Result:
    return _recount(call, call.parameters["DesiredRuntimeConfig"])


def _recount(call: Call, given: Mapping[str, Any] | None) -> Result:
    if given is None:
        raise validation("Give a Specification or a RuntimeConfig to update the inference component with.")

    def edit(document: Document) -> None:
        refuse_in_progress(document)
        if "_live" not in document:
            arn = document["InferenceComponentArn"]
            raise validation(f'Inference component "{arn}" never was in service: update its Specification.')
        (variant,) = document["_live"]["variants"]
        variants = [{**variant, "count": given["CopyCount"]}]
        plan = {**document["_live"], "began": call.now, "variants": variants, "placed": False}
        states.begin(document, plan, call.now)

    return _change(call, edit)


@operation("sagemaker", "DeleteInferenceComponent")
def delete_inference_component(call: Call) -> Result:
    def edit(document: Document) -> None:
        refuse_in_progress(document)
        states.deleting(document, call.now)

    _change(call, edit)
    return {}


def _change(call: Call, edit: Edit) -> Result:
    key = COMPONENTS.key(call)
    with call.write() as transaction:
        stored = COMPONENTS.change(transaction, key, edit, at=call.now, active=True)
    wake(call.platform, key)
    return {"InferenceComponentArn": stored.document["InferenceComponentArn"]}


def _copies(document: Document) -> int:
    plan = document.get("_live") or document["_next"]
    return int(plan["variants"][0]["count"])


# What is asked for


def _variant_of(call: Call, endpoint: Document, name: str = "") -> Mapping[str, Any]:
    """The variant of the endpoint that hosts the component. Raises ValidationException."""
    states.refuse_unless_changeable(endpoint)
    wanted = name or call.parameters.get("VariantName")
    if not wanted:
        raise validation("VariantName must be given: which variant's instances the component shall share.")
    for variant in endpoint["_live"]["variants"]:
        if variant["VariantName"] == wanted:
            if variant["containers"]:
                raise validation(
                    f"Variant {wanted} of endpoint {endpoint['EndpointName']} has a model of its own: inference components "
                    "need a variant without a ModelName."
                )
            return dict(variant)
    raise validation(f"Endpoint {endpoint['EndpointName']} has no variant {wanted}.")


def _checked(call: Call, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The specification. Raises for what is missing or not served."""
    refuse(parameters, _NOT_YET)
    specification: Mapping[str, Any] = parameters.get("Specification", {})
    refuse(specification, _NOT_YET_IN_SPECIFICATION)
    if "ComputeResourceRequirements" not in specification:
        raise validation("Specification must give ComputeResourceRequirements.")
    refuse(specification["ComputeResourceRequirements"], _NOT_YET_IN_COMPUTE)
    if ("ModelName" in specification) == ("Container" in specification):
        raise validation("Specification must give either a ModelName or a Container.")
    return specification


def _plan(
    call: Call,
    document: Document,
    specification: Mapping[str, Any],
    on: Mapping[str, Any],
    count: int,
) -> dict[str, Any]:
    container, role = _container(call, specification, on)
    startup = specification.get("StartupParameters", {})
    variant = {
        "VariantName": on["VariantName"],
        "weight": 1.0,
        "count": count,
        "routing": on["routing"],
        "startup_seconds": startup.get("ContainerStartupHealthCheckTimeoutInSeconds", 240),
        "download_seconds": startup.get("ModelDataDownloadTimeoutInSeconds"),
        "instance_type": on["instance_type"],
        "containers": [
            {"hostname": "primary", "definition": dict(container), "processes": processes_of(container)}
        ],
        "direct": False,
        "role": role,
        "began": call.now,
        "host": document["_id"],
        "generation": states.next_generation(document),
    }
    return {
        "began": call.now,
        "variants": [variant],
        "specification": dict(specification),
        "needs": needs(specification),
        "placed": False,
    }


def _container(
    call: Call, specification: Mapping[str, Any], on: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str]:
    """The container's definition and whose rights it has: the model's, or those of the endpoint's configuration."""
    if "ModelName" in specification:
        model = MODELS.find(call.platform, MODELS.key(call, specification["ModelName"])).document
        containers = containers_of(model)
        if len(containers) > 1 or hostnames_of(model) != ["primary"] or is_multi_model(containers[0]):
            raise not_yet("models of several containers or Mode MultiModel in an inference component")
        return containers[0], model.get("ExecutionRoleArn", "") or on["role"]
    given = specification["Container"]
    refuse(given, {"ContainerMetricsConfig": "Leave it out."})
    if not given.get("Image"):
        raise validation("Specification.Container must name an Image.")
    definition = {"Image": given["Image"], "Environment": given.get("Environment", {})}
    if given.get("ArtifactUrl"):
        definition["ModelDataUrl"] = given["ArtifactUrl"]
    check_server(definition)
    return definition, on["role"]
