"""What CreateTrainingJob refuses: what AWS would, in its words, and what Colonnade does not do, by name.

Nothing that changes what a job does is accepted and then ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from colonnade import runtimes
from colonnade.jobs import channels
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Parameters
from colonnade.kernel.passed_roles import check_pass_role
from colonnade.kernel.ports import Principal, Principals, Storage

SERVICE = "sagemaker.amazonaws.com"

_NOT_YET = {
    "VpcConfig": "Jobs use this machine's network: leave it out.",
    "EnableNetworkIsolation": "Jobs use this machine's network: leave it out.",
    "DebugRuleConfigurations": "Leave it out.",
    "ProfilerRuleConfigurations": "Leave it out.",
    "TensorBoardOutputConfig": "Write to /opt/ml/output/data instead: it is uploaded as output.tar.gz.",
    "RetryStrategy": "Leave it out.",
    "SessionChainingConfig": "Leave it out.",
    "ServerlessJobConfig": "Name a TrainingImage and ResourceConfig.",
    "MlflowConfig": "Leave it out.",
    "ModelPackageConfig": "Leave it out.",
    "AlgorithmSpecification.AlgorithmName": "Name a TrainingImage.",
    "AlgorithmSpecification.TrainingImageConfig": "Images are matched by repository name and never pulled: leave it out.",
    "ResourceConfig.VolumeKmsKeyId": "Jobs have no volumes of their own, but folders on the server's disk: encrypt that, and leave it out.",
    "ResourceConfig.InstanceGroups": "Give InstanceType and InstanceCount 1.",
    "ResourceConfig.KeepAlivePeriodInSeconds": "Jobs start at once without warm pools: leave it out.",
    "ResourceConfig.TrainingPlanArn": "Leave it out.",
    "ResourceConfig.InstancePlacementConfig": "Leave it out.",
    "ResourceConfig.InstancePreferences": "Give InstanceType.",
    "RemoteDebugConfig.EnableRemoteDebug": "Leave it out.",
    "InfraCheckConfig.EnableInfraCheck": "Leave it out.",
}


def check(call: Call) -> Principal:
    """Raises the ServiceError of the first thing that is wrong; the role to act as when all is right."""
    request = call.parameters
    _refuse_what_is_not_built(request)
    _check_image(request)
    _check_channels(request.get("InputDataConfig", []), _default_mode(request))
    _check_limits(request)
    Location.parse(request["OutputDataConfig"]["S3OutputPath"])
    _check_checkpoints(request)
    role_arn = request["RoleArn"]
    check_pass_role(call, role_arn, SERVICE)
    role = call.platform.the(Principals).assume_for_service(role_arn, SERVICE, "SageMaker")
    channels.check(
        call.platform.the(Storage), role, role_arn, call.region, request.get("InputDataConfig", [])
    )
    return role


def _default_mode(request: Parameters) -> str:
    return str(request.get("AlgorithmSpecification", {}).get("TrainingInputMode", "File"))


def _refuse_what_is_not_built(request: Parameters) -> None:
    for path, remedy in _NOT_YET.items():
        value: Any = request
        for member in path.split("."):
            value = value.get(member) if isinstance(value, Mapping) else None
        if value:
            raise not_yet(path, remedy)
    if request.get("ResourceConfig", {}).get("InstanceCount", 1) > 1:
        raise not_yet("ResourceConfig.InstanceCount above 1", "Give 1.")


def not_yet(member: str, remedy: str) -> ServiceError:
    return ServiceError(
        "NotImplementedException",
        f"Colonnade does not implement {member} of training jobs yet. {remedy}",
        status=501,
    )


def _check_image(request: Parameters) -> None:
    specification = request.get("AlgorithmSpecification") or {}
    if "TrainingImage" not in specification:
        raise validation("AlgorithmSpecification must name a TrainingImage.")
    uri = specification["TrainingImage"]
    runtime = runtimes.find(uri)
    given = request.get("HyperParameters", {}), request.get("Environment", {})
    training = runtime.training(runtimes.Image.parse(uri), *given)
    if training.metrics and specification.get("MetricDefinitions"):
        raise validation(
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please retry the request without "
            "specifying metric definitions."
        )
    for definition in specification.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise validation(
                f"The regex {definition['Regex']!r} of metric {definition['Name']!r} is not valid: {error}."
            ) from error


def _check_channels(given: Sequence[channels.Channel], default_mode: str) -> None:
    names = [channel["ChannelName"] for channel in given]
    for name in names:
        if names.count(name) > 1:
            raise validation(f"Channel names must be unique: {name} is given {names.count(name)} times.")
    for channel in given:
        _check_channel(channel, channels.mode_of(channel, default_mode))


def _check_channel(channel: channels.Channel, mode: str) -> None:
    name = channel["ChannelName"]
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise not_yet(f"a DataSource other than S3DataSource (channel {name})", "Put the data into S3.")
    Location.parse(source["S3Uri"])
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile", "AugmentedManifestFile"):
        raise not_yet(f"S3DataType {source['S3DataType']} (channel {name})", "Give S3Prefix or ManifestFile.")
    if source["S3DataType"] == "AugmentedManifestFile" and (
        mode != "Pipe" or not source.get("AttributeNames")
    ):
        raise validation(f"AugmentedManifestFile of channel {name} needs input mode Pipe and AttributeNames.")
    if mode == "FastFile" and source["S3DataType"] != "S3Prefix":
        raise validation(
            f"Input mode FastFile of channel {name} needs S3DataType S3Prefix, not {source['S3DataType']}."
        )
    for member in ("CompressionType", "RecordWrapperType"):
        if mode != "Pipe" and channel.get(member, "None") != "None":
            raise validation(
                f"{member} {channel[member]} of channel {name} needs input mode Pipe, not {mode}."
            )


def _check_limits(request: Parameters) -> None:
    limits = request.get("StoppingCondition", {})
    longest, wait = limits.get("MaxRuntimeInSeconds", 86400), limits.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < longest:
            raise validation(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
            )
    elif wait is not None:
        raise validation(
            "MaxWaitTimeInSeconds is for managed spot training: set EnableManagedSpotTraining or leave it out."
        )


def _check_checkpoints(request: Parameters) -> None:
    config = request.get("CheckpointConfig")
    if config is None:
        return
    Location.parse(config["S3Uri"])
    path = config.get("LocalPath", "/opt/ml/checkpoints")
    if not re.fullmatch(r"/opt/ml(/(?!\.\.(/|$))[^/]+)+/?", path):
        raise validation(f"CheckpointConfig.LocalPath {path} must be a folder below /opt/ml.")
