"""Serverless variants on the leader's side: what their configuration may say, and how many processes a plan has at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import validation
from colonnade.kernel.platform import Platform
from colonnade.kernel.store import Key
from colonnade.lifecycle.deploy.endpoint.states import Plan
from colonnade.lifecycle.deploy.model.operations import containers_of
from colonnade.serving.serverless.demand import Demand

STARTUP_SECONDS = 180.0
_MEGABYTE = 1024 * 1024
_EXCLUDED = {
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "explanations",
    "VpcConfig": "a VPC",
    "EnableNetworkIsolation": "network isolation",
    "KmsKeyId": "a KMS key for a storage volume",
}
_EXCLUDED_IN_VARIANT = (
    "InitialInstanceCount",
    "InstanceType",
    "AcceleratorType",
    "ManagedInstanceScaling",
    "RoutingConfig",
    "VolumeSizeInGB",
    "ModelDataDownloadTimeoutInSeconds",
    "ContainerStartupHealthCheckTimeoutInSeconds",
)


def check(config: Mapping[str, Any]) -> None:
    """Raises ValidationException for a configuration whose ServerlessConfig cannot be."""
    variants = config["ProductionVariants"]
    if not any("ServerlessConfig" in variant for variant in variants):
        return
    if len(variants) > 1:
        raise validation(
            "An endpoint configuration with ServerlessConfig can have one production variant only, not "
            f"{len(variants)}: serverless endpoints do not support multiple variants."
        )
    for member, what in _EXCLUDED.items():
        if config.get(member):
            raise validation(f"Serverless endpoints do not support {what}: leave {member} out.")
    if config.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise validation("Serverless endpoints do not support data capture: leave DataCaptureConfig out.")
    for member in _EXCLUDED_IN_VARIANT:
        if member in variants[0]:
            raise validation(
                f"Variant {variants[0]['VariantName']} has ServerlessConfig: {member} is for variants with instances. "
                "Leave it out."
            )
    _check_sizes(variants[0]["ServerlessConfig"])


def _check_sizes(given: Mapping[str, Any]) -> None:
    memory, most = given["MemorySizeInMB"], given["MaxConcurrency"]
    if memory % 1024:
        raise validation(f"MemorySizeInMB {memory} must be one of 1024, 2048, 3072, 4096, 5120, 6144.")
    if given.get("ProvisionedConcurrency", 0) > most:
        raise validation(
            f"ProvisionedConcurrency {given['ProvisionedConcurrency']} must not be larger than MaxConcurrency {most}."
        )


def check_model(model: Mapping[str, Any]) -> None:
    """Raises ValidationException for a model that no serverless variant can serve."""
    if len(containers_of(model)) > 1:
        raise validation(
            "Serverless endpoints do not support inference pipelines: name a model with one container."
        )
    if containers_of(model)[0].get("Mode") == "MultiModel":
        raise validation("Serverless endpoints do not support multi-model containers: give Mode SingleModel.")


def check_update(live: Plan, coming: Plan) -> None:
    """From instances to serverless there is no way; from serverless to instances there is."""
    if not is_serverless(live) and is_serverless(coming):
        raise validation(
            "An endpoint with instances cannot be updated to a serverless configuration. Create another endpoint."
        )


def is_serverless(plan: Plan) -> bool:
    return any("serverless" in variant for variant in plan["variants"])


def updated(variant: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The variant after UpdateEndpointWeightsAndCapacities. Raises ValidationException."""
    if "serverless" not in variant:
        raise validation(
            f"Variant {variant['VariantName']} has instances: give DesiredInstanceCount, not ServerlessUpdateConfig."
        )
    config = {**variant["serverless"], **wanted}
    _check_sizes(config)
    return {**variant, "serverless": config, "count": first_count(config)}


def first_count(config: Mapping[str, Any]) -> int:
    """Processes with which a plan comes up: at least one, which proves that the model answers."""
    return max(1, int(config.get("ProvisionedConcurrency", 0)))


def sized(platform: Platform, key: Key, document: Mapping[str, Any], plan: Plan) -> Plan:
    """The plan with as many processes for its serverless variants as there is demand for."""
    if not is_serverless(plan):
        return plan
    return {**plan, "variants": [_sized(platform, key, document, variant) for variant in plan["variants"]]}


def _sized(
    platform: Platform, key: Key, document: Mapping[str, Any], variant: dict[str, Any]
) -> dict[str, Any]:
    if "serverless" not in variant:
        return variant
    config = variant["serverless"]
    standing = sum(slot.startswith(f"{variant['generation']}-") for slot in document.get("_replicas", {}))
    count = platform.the(Demand).wanted(
        key,
        variant["VariantName"],
        least=config.get("ProvisionedConcurrency", 0),
        most=config["MaxConcurrency"],
        standing=standing,
    )
    return {**variant, "count": count}


def served(platform: Platform, key: Key, plan: Plan) -> None:
    """It has come into service, which counts as a use: it rests one idle time-out later."""
    for variant in plan["variants"]:
        if "serverless" in variant:
            platform.the(Demand).note(key, variant["VariantName"], "bring-up", variant["count"])


def of_route(platform: Platform, variant: Mapping[str, Any]) -> dict[str, Any]:
    """For the route: what the workers must know."""
    return {
        "most": variant["serverless"]["MaxConcurrency"],
        "idle_seconds": platform.the(Demand).idle_seconds,
        "generation": variant["generation"],
    }


def memory_bytes(variant: Mapping[str, Any]) -> int | None:
    """What each process may have; None where the instance type says it."""
    return variant["serverless"]["MemorySizeInMB"] * _MEGABYTE if "serverless" in variant else None
