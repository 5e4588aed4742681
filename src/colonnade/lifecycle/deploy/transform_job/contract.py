"""What an instance of a transform job finds in its folder and variables (semantics 2.3 and 9), as a `Work`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.executors import Environment, Input, Work
from colonnade.jobs.channels import DownloadFailed
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ports import Principal, Storage
from colonnade.kernel.store import Document
from colonnade.lifecycle.deploy.model.operations import containers_of, hostnames_of
from colonnade.lifecycle.deploy.model.preparation import Broken, answering
from colonnade.lifecycle.deploy.transform_job.shares import Share
from colonnade.serving.artifacts import Artifacts
from colonnade.serving.batch import plan

_STRATEGIES = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}


def work_of(
    job: Document,
    number: int,
    artifacts: Artifacts,
    storage: Storage,
    role: Principal,
    region: str,
    acting: Mapping[str, str],
) -> Work:
    """`acting` are the variables that let the model act as its role. Raises DownloadFailed, and Broken."""
    share: Share = job["_Shares"][number]
    containers = _containers(job)
    alone = containers[0].environment if len(containers) == 1 else {}
    return Work(
        id=job["_Works"][number],
        command=["python", "-m", "colonnade.serving.batch"],
        environment=Environment(job["_Prepared"][0]["runtime"], _requirements(job["_Prepared"])),
        variables={**acting, **_variables(job, region), **alone},
        files={plan.PATH: plan.encode(_plan(job, share, containers))},
        folders=[plan.OUTPUTS, *(container.folder for container in containers)],
        inputs=[
            Input(_input(index), _content(storage, role, bucket, key))
            for index, (bucket, key, _) in enumerate(share)
        ],
        archives=_archives(job["_Prepared"], containers, artifacts),
    )


def output_of(index: int) -> str:
    """What the file with the answers for a share's object is called below the outputs."""
    return str(index)


def _input(index: int) -> str:
    return f"input/data/{index}"


def _content(storage: Storage, role: Principal, bucket: str, key: str) -> Any:
    try:
        return storage.read(role, bucket, key)
    except ServiceError as error:
        raise DownloadFailed(f"s3://{bucket}/{key}: {error}") from error


def _plan(job: Document, share: Share, containers: Sequence[plan.Container]) -> plan.Plan:
    source, output, given = job["TransformInput"], job["TransformOutput"], job["DataProcessing"]
    client = job.get("ModelClientConfig", {})
    processed = any(
        given[member] != default for member, default in (("InputFilter", "$"), ("OutputFilter", "$"))
    )
    joined = given["JoinSource"] == "Input"
    content_type = source.get("ContentType", "")
    return plan.Plan(
        files=[
            plan.File(_input(index), f"{bucket}/{key}", f"{plan.OUTPUTS}/{output_of(index)}")
            for index, (bucket, key, _) in enumerate(share)
        ],
        containers=[
            plan.Container(one.name, one.handlers, one.folder, one.environment if len(containers) > 1 else {})
            for one in containers
        ],
        content_type=content_type,
        accept=output.get("Accept", content_type if processed or joined else ""),
        gzip=source["CompressionType"] == "Gzip",
        split=source["SplitType"],
        assemble=output["AssembleWith"],
        single_record=job.get("BatchStrategy") == "SingleRecord",
        max_payload_mb=job.get("MaxPayloadInMB", 6),
        concurrency=job.get("MaxConcurrentTransforms", 0),
        instances=len(job["_Shares"]),
        timeout_seconds=client.get("InvocationsTimeoutInSeconds", 600),
        retries=client.get("InvocationsMaxRetries", 3),
        input_filter=given["InputFilter"],
        output_filter=given["OutputFilter"],
        join=joined,
    )


def _containers(job: Document) -> list[plan.Container]:
    """With the job's variables laid over the model's."""
    model, found = job["_Model"], []
    named = zip(containers_of(model), hostnames_of(model), job["_Prepared"], strict=True)
    for number, (definition, name, prepared) in enumerate(named):
        told = answering(prepared)
        handlers = told.pop("COLONNADE_HANDLERS")
        environment = {**definition.get("Environment", {}), **job.get("Environment", {}), **told}
        folder = f"containers/{number}/model" if len(job["_Prepared"]) > 1 else "model"
        found.append(plan.Container(name, handlers, folder, environment))
    return found


def _archives(
    prepared: Sequence[Mapping[str, Any]], containers: Sequence[plan.Container], artifacts: Artifacts
) -> list[Input]:
    archives = []
    for one, container in zip(prepared, containers, strict=True):
        if one["model"]:
            archives.append(Input(container.folder, artifacts.content(one["model"])))
        if one["code"]:
            archives.append(Input(f"{container.folder}/code", artifacts.content(one["code"])))
    return archives


def _requirements(prepared: Sequence[Mapping[str, Any]]) -> str:
    """An instance has one environment, which all of the model's containers share."""
    found = {one["requirements"] for one in prepared if one.get("requirements", "").strip()}
    if len(found) > 1:
        raise Broken(
            "ClientError: The containers of the model have different requirements.txt, and the instances of a transform job "
            "have one environment. Give the containers the same requirements.txt."
        )
    return str(next(iter(found), ""))


def _variables(job: Document, region: str) -> dict[str, str]:
    """What a request did not give is not told."""
    told = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": job.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": _STRATEGIES.get(job.get("BatchStrategy", "")),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": job.get("MaxConcurrentTransforms"),
    }
    return {
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_BATCH": "true",
        **{name: str(value) for name, value in told.items() if value is not None},
    }
