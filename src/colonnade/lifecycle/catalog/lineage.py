"""What lineage is told of: artifacts (things at a URI), actions (what was done), contexts (what belongs together).

`association` ties them to each other. An artifact is one per URI and type: creating it again answers the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Effect, Result, operation, with_parameters
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document, each


def _source(document: Document) -> Mapping[str, Any]:
    return {"SourceUri": document["Source"]["SourceUri"]}


def _named(noun: str) -> Resource:
    return Resource(
        "sagemaker",
        noun,
        derived=_source,
        missing=Refusal("ResourceNotFound", f'{noun} "{{arn}}" does not exist.'),
        duplicate=Refusal(
            "ValidationException",
            f"{noun} names must be unique within an AWS account and region. {noun} with name ({{name}}) already exists.",
        ),
        effect=Effect.STORED,
    )


ACTIONS = _named("Action")
ACTIONS.serve("Create", "Describe", "List", "Update", "Delete")
CONTEXTS = _named("Context")
CONTEXTS.serve("Create", "Describe", "List", "Update", "Delete")


def _digest(source_uri: str, artifact_type: str) -> str:
    return hashlib.sha256(f"{artifact_type} {source_uri}".encode()).hexdigest()[:32]


ARTIFACTS = Resource(
    "sagemaker",
    "Artifact",
    named=["ArtifactArn"],
    generate=lambda call, document: _digest(document["Source"]["SourceUri"], document["ArtifactType"]),
    derived=_source,
    missing=Refusal("ResourceNotFound", 'Artifact "{arn}" does not exist.'),
    effect=Effect.STORED,
)
ARTIFACTS.serve("Describe", "List", "Update")


@operation("sagemaker", "CreateArtifact", effect=Effect.STORED)
def create_artifact(call: Call) -> Result:
    digest = _digest(call.parameters["Source"]["SourceUri"], call.parameters["ArtifactType"])
    with call.platform.store.read() as reader:
        first = reader.get(ARTIFACTS.key(call, digest))
    return ARTIFACTS.create(call) if first is None else ARTIFACTS.answer(call, first)


@operation("sagemaker", "DeleteArtifact", effect=Effect.STORED)
def delete_artifact(call: Call) -> Result:
    if "ArtifactArn" in call.parameters:
        return ARTIFACTS.delete(call)
    if "Source" not in call.parameters:
        raise validation("Give the ArtifactArn or the Source of the artifact to delete.")
    return ARTIFACTS.delete(with_parameters(call, ArtifactArn=_only_one_at(call)))


def _only_one_at(call: Call) -> str:
    uri = call.parameters["Source"]["SourceUri"]
    with call.platform.store.read() as reader:
        rows = each(reader, ARTIFACTS.scope(call.account, call.region))
        arns = [row.document["ArtifactArn"] for row in rows if row.document["Source"]["SourceUri"] == uri]
    if not arns:
        raise ServiceError("ResourceNotFound", f'No artifact has the source "{uri}".')
    if len(arns) > 1:
        raise validation(f"{len(arns)} artifacts have the source {uri}: give one's ArtifactArn.")
    return str(arns[0])
