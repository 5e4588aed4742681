"""What CreateTransformJob refuses: what AWS would, and what Colonnade does not do, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade import runtimes
from colonnade.jobs import channels
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Parameters
from colonnade.kernel.ports import Principals, Storage
from colonnade.kernel.store import Document
from colonnade.lifecycle.deploy.model.operations import MODELS, containers_of, is_direct, is_multi_model
from colonnade.lifecycle.deploy.refusals import not_yet, refuse
from colonnade.lifecycle.deploy.transform_job import SERVICE
from colonnade.serving.batch import paths, processing

_MOST_INSTANCES, _MOST_MB, _USUAL_MB = 100, 100, 6
_NOT_YET = {"DataCaptureConfig": "Leave it out: the input and the output are objects already."}
_NOT_YET_IN_RESOURCES = {
    "VolumeKmsKeyId": "Leave it out.",
    "TransformAmiVersion": "Leave it out: there are no machine images.",
}


def check(call: Call) -> Document:
    """The model's document. Raises the ServiceError of the first thing that is wrong."""
    request = call.parameters
    refuse(request, _NOT_YET)
    refuse(request["TransformResources"], _NOT_YET_IN_RESOURCES)
    _check_sizes(request)
    _check_source(request)
    _check_processing(request)
    Location.parse(request["TransformOutput"]["S3OutputPath"])
    model = MODELS.find(call.platform, MODELS.key(call, request["ModelName"])).document
    _check_model(request["ModelName"], model)
    _check_readable(call, model)
    return model


def _check_model(name: str, model: Document) -> None:
    if is_direct(model):
        raise validation(
            f"Model {name} has InferenceExecutionConfig.Mode Direct, where each call names its container. "
            "Batch transform needs a model of one container, or of Serial ones."
        )
    for container in containers_of(model):
        if is_multi_model(container):
            raise validation(
                f"Model {name} has a container of Mode MultiModel, where each call names its model. "
                "Batch transform needs containers that hold one model."
            )
        if container.get("Environment", {}).get(runtimes.SERVER):
            raise not_yet(
                f"batch transform with {runtimes.SERVER}", "Send the records to an endpoint of the model."
            )


def _check_sizes(request: Parameters) -> None:
    payload, concurrent = request.get("MaxPayloadInMB", _USUAL_MB), request.get("MaxConcurrentTransforms", 0)
    if "MaxPayloadInMB" in request and payload == 0:
        raise not_yet("MaxPayloadInMB 0 (chunked requests)", f"Give 1 to {_MOST_MB}.")
    if payload > _MOST_MB:
        raise validation(f"MaxPayloadInMB {payload} must be less than or equal to {_MOST_MB}.")
    if concurrent * payload > _MOST_MB:
        raise validation(
            f"MaxConcurrentTransforms {concurrent} times MaxPayloadInMB {payload} is {concurrent * payload}, and must be less "
            f"than or equal to {_MOST_MB}."
        )
    instances = request["TransformResources"]["InstanceCount"]
    if instances > _MOST_INSTANCES:
        raise validation(f"InstanceCount {instances} must be less than or equal to {_MOST_INSTANCES}.")


def _check_source(request: Parameters) -> None:
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    Location.parse(source["S3Uri"])
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise validation(
            f"S3DataType {source['S3DataType']} is not for transform jobs: give S3Prefix or ManifestFile."
        )


def _check_processing(request: Parameters) -> None:
    given = request.get("DataProcessing", {})
    expressions = {member: given.get(member, "$") for member in ("InputFilter", "OutputFilter")}
    if given.get("JoinSource", "None") == "None" and set(expressions.values()) == {"$"}:
        return
    content_type = request["TransformInput"].get("ContentType", "")
    kind = processing.media_type(content_type)
    if kind not in processing.KINDS:
        raise validation(
            f"DataProcessing needs a TransformInput.ContentType of {', '.join(processing.KINDS)}, not {content_type!r}."
        )
    for member, expression in expressions.items():
        _check_path(member, expression, kind)
    _check_same(request, content_type)


def _check_path(member: str, expression: str, kind: str) -> None:
    try:
        path = paths.parse(expression)
    except paths.PathError as error:
        raise validation(f"DataProcessing.{member} is not valid: {error}.") from error
    if kind == processing.CSV and not path.is_positional:
        raise validation(
            f"DataProcessing.{member} {expression!r} names members, which {kind} has not: give columns, like $[1:] or $[0,-1]."
        )


def _check_same(request: Parameters, content_type: str) -> None:
    """Records of one form can be joined with predictions of the same."""
    source, output = request["TransformInput"], request["TransformOutput"]
    accept, split = output.get("Accept", content_type), source.get("SplitType", "None")
    if processing.media_type(accept) != processing.media_type(content_type):
        raise validation(
            f"DataProcessing needs TransformOutput.Accept {accept!r} to be the TransformInput.ContentType {content_type!r}."
        )
    if split not in ("None", "Line"):
        raise validation(f"DataProcessing needs SplitType Line or None, not {split}.")
    if output.get("AssembleWith", split) != split:
        raise validation(
            f"DataProcessing needs AssembleWith {output['AssembleWith']} to be the SplitType {split}."
        )


def _check_readable(call: Call, model: Mapping[str, Any]) -> None:
    role_arn = model.get("ExecutionRoleArn")
    if not role_arn:
        raise validation(
            f"Model {call.parameters['ModelName']} has no ExecutionRoleArn: a transform job reads and writes S3 as that role."
        )
    role = call.platform.the(Principals).assume_for_service(role_arn, SERVICE, "SageMaker")
    channels.check(
        call.platform.the(Storage), role, role_arn, call.region, [call.parameters["TransformInput"]]
    )
