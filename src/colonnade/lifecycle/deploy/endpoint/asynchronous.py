"""Asynchronous endpoints on the leader's side: what their configuration may say, their variants' terms, and what becomes of requests
that still wait when the endpoint is deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Notifications, Principals
from colonnade.kernel.reconcile import lease
from colonnade.kernel.store import Key
from colonnade.serving.asynchronous import notices, outcome, queue, terms
from colonnade.serving.asynchronous.processing import DELETED

_EXCLUDED = {
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "explanations",
}


def check(config: Mapping[str, Any]) -> None:
    """Raises ValidationException for an AsyncInferenceConfig that cannot be."""
    if "AsyncInferenceConfig" not in config:
        return
    output = config["AsyncInferenceConfig"]["OutputConfig"]
    for member in ("S3OutputPath", "S3FailurePath"):
        given = output.get(member, "s3://absent/" if member == "S3FailurePath" else "")
        if not given.startswith("s3://") or not given[5:].partition("/")[0]:
            raise validation(
                f"AsyncInferenceConfig.OutputConfig.{member} {given!r} must be a place in S3: give s3://<bucket>/<prefix>."
            )
    for member, what in _EXCLUDED.items():
        if config.get(member):
            raise validation(
                f"An endpoint configuration with AsyncInferenceConfig cannot have {what}: leave {member} out."
            )
    if config.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise validation(
            "An endpoint configuration with AsyncInferenceConfig cannot capture data: its requests and answers are in S3."
        )
    if any("ModelName" not in variant for variant in config["ProductionVariants"]):
        raise validation(
            "An endpoint configuration with AsyncInferenceConfig cannot host inference components: give each variant a ModelName."
        )
    if any("ServerlessConfig" in variant for variant in config["ProductionVariants"]):
        raise validation(
            "A variant with ServerlessConfig cannot be asynchronous: leave AsyncInferenceConfig out."
        )


def begin(variants: Sequence[dict[str, Any]], config: Mapping[str, Any]) -> None:
    """Make a plan's variants asynchronous where the configuration says so."""
    if "AsyncInferenceConfig" not in config:
        return
    for variant in variants:
        if not variant["role"]:
            raise validation(
                f"The model of variant {variant['VariantName']} has no ExecutionRoleArn: an asynchronous endpoint reads and writes S3 as "
                "that role."
            )
        if any(container["definition"].get("Mode") == "MultiModel" for container in variant["containers"]):
            raise validation(
                f"The model of variant {variant['VariantName']} hosts many models, which asynchronous requests cannot name: give Mode "
                "SingleModel."
            )
        variant["asynchronous"] = dict(config["AsyncInferenceConfig"])


def check_topics(call: Call, variants: Sequence[Mapping[str, Any]]) -> None:
    """Raises ValidationException for a topic that cannot be told. Not inside a transaction."""
    for variant, topic in _topics(variants):
        role = call.platform.the(Principals).assume_for_service(
            variant["role"], "sagemaker.amazonaws.com", "SageMaker"
        )
        try:
            call.platform.the(Notifications).check(role, topic)
        except ServiceError as error:
            raise validation(
                f"The SNS topic {topic} cannot be told. Please ensure that it exists and that the role {variant['role']} has "
                f"permissions that allow sns:Publish on it ({error.code})."
            ) from error


def probe(call: Call, variants: Sequence[Mapping[str, Any]]) -> None:
    """Each topic is told once that the endpoint was made or changed."""
    told: set[str] = set()
    for variant, topic in _topics(variants):
        if topic not in told:
            told.add(topic)
            role = call.platform.the(Principals).assume_for_service(
                variant["role"], "sagemaker.amazonaws.com", "SageMaker"
            )
            text = notices.probe(call.region, call.parameters["EndpointName"], call.now)
            call.platform.the(Notifications).publish(role, topic, text)


def _topics(variants: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    found = []
    for variant in variants:
        given = variant.get("asynchronous", {}).get("OutputConfig", {}).get("NotificationConfig", {})
        found += [(variant, given[member]) for member in ("SuccessTopic", "ErrorTopic") if given.get(member)]
    return found


def of_route(variant: Mapping[str, Any], instances: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """For the route: the terms of a plan's variant, with the instances that stand now."""
    standing = [
        variant["count"]
        if "compiled" in (behind[0] if behind else {})
        else len(behind) // int(container["processes"])
        for container, behind in zip(variant["containers"], instances, strict=True)
    ]
    return terms.document(variant["asynchronous"], variant["role"], min(standing))


def abandon(platform: Platform, endpoint: Key) -> bool:
    """Tell the requests of an endpoint that is being deleted. True once none is left; those that a worker has are its own to end."""
    queue.recover(platform.store)
    for request in queue.claim_all(platform.store, endpoint, lease.holder(), platform.clock.now()):
        try:
            outcome.fail(platform, request, DELETED, lambda metric, value=1.0: None)
        except Exception:
            queue.release(platform.store, request, died=0)
            raise
    with platform.store.read() as reader:
        return next(queue.waiting(reader, endpoint), None) is None
