"""CreateEndpoint, DescribeEndpoint, ListEndpoints, UpdateEndpoint, UpdateEndpointWeightsAndCapacities, DeleteEndpoint.

They write down what shall be; the reconciler makes it so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.reconcile import wake
from colonnade.kernel.resources import Edit
from colonnade.kernel.store import Document, Reader, Stored
from colonnade.lifecycle.deploy.endpoint import asynchronous, capture, serverless, states, views
from colonnade.lifecycle.deploy.endpoint.states import ENDPOINTS
from colonnade.lifecycle.deploy.endpoint_config import ENDPOINT_CONFIGS
from colonnade.lifecycle.deploy.inference_component.states import refuse_in_use, refuse_without_room
from colonnade.lifecycle.deploy.model.operations import (
    MODELS,
    containers_of,
    hostnames_of,
    is_direct,
    is_multi_model,
    processes_of,
)
from colonnade.lifecycle.deploy.refusals import not_yet

ENDPOINTS.serve("List")
_KEPT = ("DesiredInstanceCount", "DesiredWeight")


@operation("sagemaker", "CreateEndpoint")
def create_endpoint(call: Call) -> Result:
    _check_deployment(call)
    document: Document = {
        "EndpointStatus": states.CREATING,
        "LastModifiedTime": call.now,
        "_id": call.platform.ids.token(8).lower(),
    }
    config, variants = _configured(call)
    document["_next"] = _plan(call, document, config, variants)
    asynchronous.check_topics(call, variants)
    created = ENDPOINTS.create(call, document, active=True)
    asynchronous.probe(call, variants)
    return created


@operation("sagemaker", "DescribeEndpoint", quick=True)
def describe_endpoint(call: Call) -> Result:
    stored = ENDPOINTS.find(call.platform, ENDPOINTS.key(call))
    return {**ENDPOINTS.answer(call, stored), **views.described(stored)}


@operation("sagemaker", "UpdateEndpoint")
def update_endpoint(call: Call) -> Result:
    """All at once: the new variants come up beside the old ones, traffic switches, the old ones go."""
    _check_deployment(call)
    excluded = {
        each["VariantPropertyType"] for each in call.parameters.get("ExcludeRetainedVariantProperties", ())
    }
    kept = set(_KEPT) - excluded if call.parameters.get("RetainAllVariantProperties") else set()
    before = ENDPOINTS.find(call.platform, ENDPOINTS.key(call)).document
    states.refuse_unless_changeable(before)
    ENDPOINT_CONFIGS.find(call.platform, ENDPOINT_CONFIGS.key(call, before["EndpointConfigName"]))
    config, variants = _configured(call)
    asynchronous.check_topics(call, variants)

    def edit(document: Document) -> None:
        states.refuse_unless_changeable(document)
        plan = _plan(call, document, config, variants)
        serverless.check_update(document["_live"], plan)
        _retain(plan, document["_live"], kept)
        states.begin(document, plan, call.now)

    changed = _change(call, edit, refuse_without_room)
    asynchronous.probe(call, variants)
    return changed


@operation("sagemaker", "UpdateEndpointWeightsAndCapacities")
def update_weights_and_capacities(call: Call) -> Result:
    def edit(document: Document) -> None:
        states.refuse_unless_changeable(document)
        live = document["_live"]
        variants = {variant["VariantName"]: dict(variant) for variant in live["variants"]}
        for wanted in call.parameters["DesiredWeightsAndCapacities"]:
            name = wanted["VariantName"]
            if name not in variants:
                raise validation(f'Variant {name} is not one of endpoint "{document["EndpointArn"]}".')
            variants[name]["weight"] = wanted.get("DesiredWeight", variants[name]["weight"])
            if "ServerlessUpdateConfig" in wanted:
                variants[name] = serverless.updated(variants[name], wanted["ServerlessUpdateConfig"])
            if "serverless" in variants[name]:
                if "DesiredInstanceCount" in wanted:
                    raise validation(f"Variant {name} is serverless: give ServerlessUpdateConfig.")
                continue
            variants[name]["count"] = wanted.get("DesiredInstanceCount", variants[name]["count"])
            _check_count(variants[name]["count"], name, asynchronous="asynchronous" in variants[name])
        states.begin(document, {**live, "began": call.now, "variants": list(variants.values())}, call.now)

    return _change(call, edit, refuse_without_room)


def _check_count(instances: int, variant: str, *, asynchronous: bool) -> None:
    """Only what waits in a queue can wait for an instance."""
    if not instances and not asynchronous:
        raise validation(
            f"Variant {variant} must have at least one instance: only an asynchronous endpoint can have none."
        )


@operation("sagemaker", "DeleteEndpoint")
def delete_endpoint(call: Call) -> Result:
    def edit(document: Document) -> None:
        states.refuse_unless_deletable(document)
        states.deleting(document, call.now)

    _change(call, edit, refuse_in_use)
    return {}


def _change(call: Call, edit: Edit, check: Callable[[Reader, Stored], None]) -> Result:
    """`check` sees what would become of it, and raises to keep it as it was."""
    key = ENDPOINTS.key(call)
    with call.write() as transaction:
        stored = ENDPOINTS.change(transaction, key, edit, at=call.now, active=True)
        check(transaction, stored)
    wake(call.platform, key)
    return {"EndpointArn": stored.document["EndpointArn"]}


def _check_deployment(call: Call) -> None:
    policy = call.parameters.get("DeploymentConfig", {})
    if call.parameters.get("RetainDeploymentConfig"):
        raise not_yet("RetainDeploymentConfig", "Leave it out.")
    if policy.get("RollingUpdatePolicy") or policy.get("AutoRollbackConfiguration"):
        raise not_yet("DeploymentConfig with a rolling update or alarms", "Leave it out.")
    blue_green = policy.get("BlueGreenUpdatePolicy", {})
    routing = blue_green.get("TrafficRoutingConfiguration", {})
    if routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE" or routing.get("WaitIntervalInSeconds"):
        raise not_yet("DeploymentConfig other than ALL_AT_ONCE without waiting", "Leave it out.")
    if blue_green.get("TerminationWaitInSeconds"):
        raise not_yet("TerminationWaitInSeconds", "Leave it out.")


def _plan(
    call: Call, document: Document, config: Mapping[str, Any], variants: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Variants with generations of their own: none shares instances with what is served."""
    numbered = [
        {**variant, "host": document["_id"], "generation": states.next_generation(document)}
        for variant in variants
    ]
    plan = {"config": call.parameters["EndpointConfigName"], "began": call.now, "variants": numbered}
    capture.begin(document, plan, config)
    return plan


def _configured(call: Call) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """The configuration that the call names, and its variants with their models as they are now."""
    key = ENDPOINT_CONFIGS.key(call, call.parameters["EndpointConfigName"])
    config = ENDPOINT_CONFIGS.find(call.platform, key).document
    role = config.get("ExecutionRoleArn", "")
    variants = [_variant(call, described, role) for described in config["ProductionVariants"]]
    asynchronous.begin(variants, config)
    return config, variants


def _variant(call: Call, described: Mapping[str, Any], role: str) -> dict[str, Any]:
    """One without a model has instances alone, for inference components to share."""
    model: Mapping[str, Any] = {"ExecutionRoleArn": role}
    if "ModelName" in described:
        model = MODELS.find(call.platform, MODELS.key(call, described["ModelName"])).document
    containers = (
        list(zip(hostnames_of(model), containers_of(model), strict=True)) if "ModelName" in described else []
    )
    config = described.get("ServerlessConfig")
    return {
        "VariantName": described["VariantName"],
        "weight": described.get("InitialVariantWeight", 1.0),
        "count": serverless.first_count(config) if config is not None else described["InitialInstanceCount"],
        "routing": described.get("RoutingConfig", {}).get("RoutingStrategy", ""),
        "startup_seconds": serverless.STARTUP_SECONDS
        if config is not None
        else described.get("ContainerStartupHealthCheckTimeoutInSeconds", 240),
        "download_seconds": described.get("ModelDataDownloadTimeoutInSeconds"),
        "instance_type": described.get("InstanceType", ""),
        "containers": [
            {
                "hostname": hostname,
                "definition": dict(container),
                "processes": 1 if config is not None else _processes(container),
            }
            for hostname, container in containers
        ],
        "direct": is_direct(model),
        "role": model.get("ExecutionRoleArn", ""),
        "began": call.now,
        **({"serverless": dict(config)} if config is not None else {}),
    }


def _processes(container: Mapping[str, Any]) -> int:
    """Of many models one process of an instance holds all, so that each is loaded once."""
    return 1 if is_multi_model(container) else processes_of(container)


def _retain(plan: dict[str, Any], live: states.Plan, kept: set[str]) -> None:
    before = {variant["VariantName"]: variant for variant in live["variants"]}
    for variant in plan["variants"]:
        old = before.get(variant["VariantName"])
        if old is not None and "DesiredWeight" in kept:
            variant["weight"] = old["weight"]
        if old is not None and "DesiredInstanceCount" in kept:
            variant["count"] = old["count"]
