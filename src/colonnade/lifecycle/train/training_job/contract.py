"""What a training program finds in its folder and variables (semantics 1.1 to 1.5), as a `Work`."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from colonnade import runtimes
from colonnade.executors import Environment, Input, Limits, Work
from colonnade.jobs import channels, checkpoints
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ports import ObjectContent, Principal, Storage
from colonnade.kernel.store import Document

_LONGEST_REQUIREMENTS = 1 << 20
STOP_GRACE_SECONDS = 120.0


def work_of(job: Document, storage: Storage, role: Principal, region: str, acting: Mapping[str, str]) -> Work:
    """`acting` are the variables that let the program act as its role. Raises DownloadFailed when what the job reads cannot be had."""
    staged = channels.stage(storage, role, job.get("InputDataConfig", []), input_mode(job))
    code = _submitted(job, storage, role)
    specification = job["AlgorithmSpecification"]
    training = runtimes.find(specification["TrainingImage"]).training(
        runtimes.Image.parse(specification["TrainingImage"]),
        job.get("HyperParameters", {}),
        job.get("Environment", {}),
    )
    definitions = [(given["Name"], given["Regex"]) for given in specification.get("MetricDefinitions", [])]
    return Work(
        id=job["_Work"],
        command=_command(specification, training.command),
        environment=Environment(runtimes.find(specification["TrainingImage"]).name, _requirements(code)),
        variables={**acting, **_variables(job, region)},
        files={
            f"input/config/{name}.json": json.dumps(value).encode() for name, value in _files(job).items()
        },
        folders=[
            "model",
            "output/data",
            *([checkpoint_folder(job)] if "CheckpointConfig" in job else []),
            *staged.folders,
        ],
        inputs=[*staged.inputs, *_restored(job, storage, role)],
        pipes=staged.pipes,
        archives=[Input("code", code)] if code else [],
        limits=Limits(job["StoppingCondition"]["MaxRuntimeInSeconds"], STOP_GRACE_SECONDS),
        metrics=training.metrics or definitions,
    )


def input_mode(job: Mapping[str, Any]) -> str:
    return str(job["AlgorithmSpecification"].get("TrainingInputMode", "File"))


def downloads(job: Document) -> bool:
    """Whether anything is brought before the program starts: only then is there a Downloading."""
    given = job.get("InputDataConfig", [])
    return any(channels.mode_of(channel, input_mode(job)) == "File" for channel in given)


def checkpoint_folder(job: Document) -> str:
    """Relative to the contract's folder."""
    path: str = job["CheckpointConfig"].get("LocalPath", "/opt/ml/checkpoints")
    return path.removeprefix("/opt/ml/").rstrip("/")


def _command(specification: Mapping[str, Any], train: Any) -> list[str]:
    """The entrypoint and arguments of the request; an image's own `train` where they leave it."""
    given = [*specification.get("ContainerEntrypoint", []), *specification.get("ContainerArguments", [])]
    if not given or given == ["train"]:
        return list(train)
    return given


def _variables(job: Document, region: str) -> dict[str, str]:
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "DMLC_INTERFACE": "eth0",
        "SAGEMAKER_METRICS_DIRECTORY": "/opt/ml/output/metrics/sagemaker",
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
        **job.get("Environment", {}),
    }


def _files(job: Document) -> dict[str, Any]:
    files: dict[str, Any] = {
        "hyperparameters": job.get("HyperParameters", {}),
        "inputdataconfig": channels.configuration(job.get("InputDataConfig", []), input_mode(job)),
        "resourceconfig": _resources(job),
    }
    for member in ("CheckpointConfig", "DebugHookConfig", "ProfilerConfig"):
        if member in job:
            files[member.lower()] = job[member]
    if "CheckpointConfig" in job:
        files["checkpointconfig"] = {"LocalPath": "/opt/ml/checkpoints"} | job["CheckpointConfig"]
    return files


def _resources(job: Document) -> dict[str, Any]:
    host, group = "algo-1", "homogeneousCluster"
    kind = job.get("ResourceConfig", {}).get("InstanceType", "local")
    return {
        "current_host": host,
        "current_instance_type": kind,
        "current_group_name": group,
        "hosts": [host],
        "instance_groups": [{"instance_group_name": group, "instance_type": kind, "hosts": [host]}],
        # What this machine calls the interface that programs bind to; one host has nobody to talk to.
        "network_interface_name": "eth0",
    }


def _restored(job: Document, storage: Storage, role: Principal) -> list[Input]:
    if "CheckpointConfig" not in job:
        return []
    source = Location.parse(job["CheckpointConfig"]["S3Uri"])
    try:
        return checkpoints.restored(storage, role, source, checkpoint_folder(job))
    except ServiceError as error:
        raise channels.DownloadFailed(f"checkpoints, {source}: {error}") from error


def _submitted(job: Document, storage: Storage, role: Principal) -> ObjectContent | None:
    """The archive with the user's program, where it lies in S3."""
    given = job.get("HyperParameters", {}).get("sagemaker_submit_directory", "").strip('"')
    uri = job.get("Environment", {}).get("SAGEMAKER_SUBMIT_DIRECTORY", given)
    if not uri.startswith("s3://"):
        return None
    location = Location.parse(uri)
    try:
        return storage.read(role, location.bucket, location.key)
    except ServiceError as error:
        raise channels.DownloadFailed(f"sagemaker_submit_directory, {uri}: {error}") from error


def _requirements(code: ObjectContent | None) -> str:
    """The archive's requirements.txt, to be laid once for all jobs that have the same. An archive with a setup.py, or one that
    cannot be read, is left to the job itself, which says what is wrong with it."""
    if code is None:
        return ""
    text = ""
    try:
        with code.open() as file, tarfile.open(fileobj=file, mode="r|*") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name == "setup.py":
                    return ""
                if name == "requirements.txt" and member.isfile() and member.size <= _LONGEST_REQUIREMENTS:
                    content = archive.extractfile(member)
                    text = content.read().decode("utf-8") if content else ""
    except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError, gzip.BadGzipFile):
        return ""
    return text
