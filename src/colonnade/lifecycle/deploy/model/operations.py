"""CreateModel checks what an endpoint would trip over: the image, and the model data as the role reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade import runtimes
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.passed_roles import check_pass_role
from colonnade.kernel.ports import Principals, Storage
from colonnade.kernel.resources import Refusal, Resource
from colonnade.lifecycle.deploy.refusals import not_yet, refuse
from colonnade.serving.artifacts import s3_place

MODELS = Resource(
    "sagemaker",
    "Model",
    arn_kind="model",
    missing=Refusal("ValidationException", 'Could not find model "{arn}".'),
    duplicate=Refusal("ValidationException", 'Cannot create already existing model "{arn}".'),
)
MODELS.serve("Describe", "List", "Delete")

_SERVICE = "sagemaker.amazonaws.com"
_MOST_PROCESSES = 64
_NOT_YET = {"VpcConfig": "Leave it out.", "EnableNetworkIsolation": "Leave it out."}
_NOT_YET_IN_CONTAINER = {
    "ImageConfig": "Images are matched by repository name and never pulled: leave it out.",
    "AdditionalModelDataSources": "Put the files into one model.tar.gz.",
    "ModelPackageName": "Give Image and ModelDataUrl.",
    "InferenceSpecificationName": "Give Image and ModelDataUrl.",
    "ContainerMetricsConfig": "Leave it out.",
}


@operation("sagemaker", "CreateModel")
def create_model(call: Call) -> Result:
    refuse(call.parameters, _NOT_YET)
    containers = containers_of(call.parameters)
    _check_names(call.parameters)
    for container in containers:
        _check_container(container)
    if any(is_multi_model(container) for container in containers):
        _check_multi_model(call.parameters, containers)
    if "ExecutionRoleArn" in call.parameters:
        check_pass_role(call, call.parameters["ExecutionRoleArn"], _SERVICE)
    for container in containers:
        data = "" if is_multi_model(container) else model_data_url(container)
        for url in (data, submitted_code(container)):
            if url:
                _check_readable(call, url)
    return MODELS.create(call, active=True)


def containers_of(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The containers of a model's document, in the order in which calls go through them."""
    containers = model.get("Containers") or []
    if model.get("PrimaryContainer") and containers:
        raise validation("Give PrimaryContainer or Containers, not both.")
    if model.get("PrimaryContainer"):
        return [model["PrimaryContainer"]]
    if not containers:
        raise validation("A model needs a PrimaryContainer.")
    return list(containers)


def hostnames_of(model: Mapping[str, Any]) -> list[str]:
    """What errors, metrics, logs and callers call a model's containers."""
    containers = containers_of(model)
    if len(containers) == 1 and not is_direct(model):
        return ["primary"]
    return [
        container.get("ContainerHostname", f"container-{number}")
        for number, container in enumerate(containers, 1)
    ]


def is_direct(model: Mapping[str, Any]) -> bool:
    """Whether each call names the container that answers it."""
    return bool(model.get("InferenceExecutionConfig", {}).get("Mode") == "Direct")


def _check_names(parameters: Mapping[str, Any]) -> None:
    containers, names = containers_of(parameters), hostnames_of(parameters)
    if len(set(names)) != len(names):
        raise validation(f"ContainerHostname must be unique within a model: {', '.join(names)}.")
    unnamed = [number for number, one in enumerate(containers, 1) if "ContainerHostname" not in one]
    if is_direct(parameters) and unnamed:
        raise validation(
            "InferenceExecutionConfig.Mode Direct needs a ContainerHostname for each container; "
            f"container {unnamed[0]} has none."
        )


def _check_container(container: Mapping[str, Any]) -> None:
    refuse(container, _NOT_YET_IN_CONTAINER)
    if "MultiModelConfig" in container and not is_multi_model(container):
        raise validation("MultiModelConfig is for containers of Mode MultiModel.")
    if not container.get("Image"):
        raise validation("Each container of a model must name an Image.")
    check_server(container)
    processes_of(container)


def check_server(container: Mapping[str, Any]) -> None:
    """That something is known to serve the container."""
    environment = container.get("Environment", {})
    runtimes.serving(container["Image"], environment)
    program = environment.get(runtimes.SERVER)
    if program and is_multi_model(container):
        raise not_yet(
            f"Mode MultiModel with {runtimes.SERVER}", "Give each model an endpoint or a variant of its own."
        )
    if program and not (model_data_url(container) or submitted_code(container)):
        raise validation(
            f"{runtimes.SERVER} {program} is to come out of an archive: give its ModelDataUrl, or the S3 URL of its "
            "sourcedir.tar.gz as SAGEMAKER_SUBMIT_DIRECTORY."
        )


def _check_multi_model(parameters: Mapping[str, Any], containers: Sequence[Mapping[str, Any]]) -> None:
    if len(containers) > 1:
        raise not_yet("Mode MultiModel in a model of several containers", "Give it a model of its own.")
    if "ModelDataSource" in containers[0]:
        raise not_yet("ModelDataSource with Mode MultiModel", "Give ModelDataUrl.")
    url = str(containers[0].get("ModelDataUrl", ""))
    if not url.startswith("s3://") or not url[5:].partition("/")[0]:
        raise validation(
            f"ModelDataUrl {url!r} of a container of Mode MultiModel must be the S3 prefix of its models: "
            "give s3://<bucket>/<prefix>/."
        )
    if not parameters.get("ExecutionRoleArn"):
        raise validation(f"ExecutionRoleArn must be given: the models below {url} are read as that role.")


def is_multi_model(container: Mapping[str, Any]) -> bool:
    """Whether calls name the model, each one an archive below the container's ModelDataUrl."""
    return bool(container.get("Mode") == "MultiModel")


def single_model(container: Mapping[str, Any]) -> dict[str, Any]:
    """The container as it would be for one of its models."""
    return {name: value for name, value in container.items() if name not in ("Mode", "MultiModelConfig")}


def model_data_url(container: Mapping[str, Any]) -> str:
    """Where the model.tar.gz lies; empty for a container without model data."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        return str(container.get("ModelDataUrl", ""))
    if container.get("ModelDataUrl"):
        raise validation("Give ModelDataUrl or ModelDataSource, not both.")
    if source.get("S3DataType") != "S3Object" or source.get("CompressionType") != "Gzip":
        raise not_yet(
            "ModelDataSource of uncompressed files",
            "Give S3DataType S3Object and CompressionType Gzip, or ModelDataUrl.",
        )
    return str(source["S3Uri"])


def submitted_code(container: Mapping[str, Any]) -> str:
    """The S3 archive of the user's script, where it is not inside the model's."""
    submitted = str(container.get("Environment", {}).get("SAGEMAKER_SUBMIT_DIRECTORY", ""))
    return submitted if submitted.startswith("s3://") else ""


def processes_of(container: Mapping[str, Any]) -> int:
    """How many processes make one instance of user code. Raises ValidationException."""
    if container.get("Environment", {}).get(runtimes.SERVER):
        return 1  # it starts as many of its own as it likes
    given = str(container.get("Environment", {}).get("SAGEMAKER_MODEL_SERVER_WORKERS", "1"))
    if not given.isdecimal() or not 1 <= int(given) <= _MOST_PROCESSES:
        raise validation(
            f"SAGEMAKER_MODEL_SERVER_WORKERS {given} must be a whole number from 1 to {_MOST_PROCESSES}."
        )
    return int(given)


def _check_readable(call: Call, url: str) -> None:
    role_arn = call.parameters.get("ExecutionRoleArn")
    if not role_arn:
        raise validation(f"ExecutionRoleArn must be given: {url} is read as that role.")
    role = call.platform.the(Principals).assume_for_service(role_arn, _SERVICE, "SageMaker")
    bucket, key = s3_place(url)
    try:
        call.platform.the(Storage).read(role, bucket, key)
    except ServiceError as error:
        raise validation(
            f"Could not find model data at {url}. Please ensure that the object exists and that the role {role_arn} "
            f"has access permissions that allow s3:GetObject on it ({error.code})."
        ) from error
