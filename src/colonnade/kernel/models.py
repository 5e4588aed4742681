"""AWS's service models: shapes, constraints, errors, pagination and routes of every operation. Nothing copies them.

They are the JSON files that botocore ships; its code is never imported, since it would bring urllib3, ssl and a third of a
server's idle memory and start-up time. A test holds this reading of the files against botocore's own. A model is read at
its first use (sagemaker's takes some 0.07 s) and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

from colonnade.kernel import model_files

_ON_THE_WIRE = (
    "locationName",
    "queryName",
    "flattened",
    "location",
    "payload",
    "streaming",
    "timestampFormat",
    "xmlNamespace",
    "resultWrapper",
    "xmlAttribute",
    "eventstream",
    "event",
    "eventheader",
    "eventpayload",
    "jsonvalue",
    "hostLabel",
)
_ABOUT = (
    "required",
    "min",
    "max",
    "pattern",
    "sensitive",
    "enum",
    "idempotencyToken",
    "error",
    "exception",
    "fault",
    "retryable",
    "document",
    "union",
    "requiresLength",
)


class Shape:
    """A type, or a member's view of one: the type's traits with the member's own laid over. Ask `type_name` first."""

    def __init__(self, name: str, traits: Mapping[str, Any], service: ServiceModel) -> None:
        self.name = name
        self.type_name: str = traits["type"]
        self._traits = traits
        self._service = service

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """Constraints and marks: min, max, pattern, enum, required, sensitive, error, exception..."""
        return {trait: self._traits[trait] for trait in _ABOUT if trait in self._traits}

    @cached_property
    def serialization(self) -> Mapping[str, Any]:
        """Places on the wire: location, name (the model's locationName), flattened, timestampFormat, payload..."""
        found = {trait: self._traits[trait] for trait in _ON_THE_WIRE if trait in self._traits}
        if "locationName" in found:
            found["name"] = found.pop("locationName")
        return found

    @property
    def documentation(self) -> str:
        return str(self._traits.get("documentation", ""))

    @cached_property
    def members(self) -> Mapping[str, Shape]:
        members = self._traits.get("members", {})
        return {name: self._service.resolve(reference) for name, reference in members.items()}

    @property
    def required_members(self) -> list[str]:
        found: list[str] = self._traits.get("required", [])
        return found

    @cached_property
    def member(self) -> Shape:
        return self._service.resolve(self._traits["member"])

    @cached_property
    def key(self) -> Shape:
        return self._service.resolve(self._traits["key"])

    @cached_property
    def value(self) -> Shape:
        return self._service.resolve(self._traits["value"])

    @property
    def enum(self) -> list[str]:
        found: list[str] = self._traits.get("enum", [])
        return found

    @property
    def is_document_type(self) -> bool:
        """Whether it is any JSON value."""
        return bool(self._traits.get("document", False))

    def __repr__(self) -> str:
        return f"<Shape {self.name} of {self._service.service_name}>"


class OperationModel:
    def __init__(self, name: str, description: Mapping[str, Any], service: ServiceModel) -> None:
        self.name = name
        self.service_model = service
        self.http: Mapping[str, Any] = description.get("http", {})
        """method, requestUri, responseCode."""
        self.auth_type: str | None = description.get("authtype")
        self.endpoint: Mapping[str, Any] | None = description.get("endpoint")
        self.http_checksum: Mapping[str, Any] = description.get("httpChecksum", {})
        self._description = description

    @cached_property
    def input_shape(self) -> Shape | None:
        return self._shape("input")

    @cached_property
    def output_shape(self) -> Shape | None:
        return self._shape("output")

    @cached_property
    def error_shapes(self) -> list[Shape]:
        return [self.service_model.resolve(reference) for reference in self._description.get("errors", ())]

    @property
    def has_event_stream_output(self) -> bool:
        output = self.output_shape
        return output is not None and any(
            member.serialization.get("eventstream") for member in output.members.values()
        )

    @property
    def has_streaming_output(self) -> bool:
        output = self.output_shape
        payload = output.serialization.get("payload") if output is not None else None
        return output is not None and payload is not None and output.members[payload].type_name == "blob"

    def _shape(self, direction: str) -> Shape | None:
        reference = self._description.get(direction)
        return None if reference is None else self.service_model.resolve(reference)


_ACTION_PREFIXES = {"monitoring": "cloudwatch"}
"""Of services whose actions are not named as they are signed (Service Authorization Reference)."""


class ServiceModel:
    def __init__(self, name: str, description: Mapping[str, Any]) -> None:
        self.service_name = name
        self.metadata: Mapping[str, Any] = description["metadata"]
        self.protocol: str = self.metadata["protocol"]
        self.signing_name: str = self.metadata.get("signingName") or self.metadata["endpointPrefix"]
        self.action_prefix = _ACTION_PREFIXES.get(self.signing_name, self.signing_name)
        """What the service's actions begin with in policies."""
        self._operations: Mapping[str, Any] = description["operations"]
        self._shapes: Mapping[str, Any] = description["shapes"]
        self._made: dict[str, Shape] = {}

    @cached_property
    def operation_names(self) -> list[str]:
        return list(self._operations)

    @cached_property
    def shape_names(self) -> list[str]:
        return list(self._shapes)

    @cached_property
    def error_shapes(self) -> list[Shape]:
        return [self.shape_for(name) for name, traits in self._shapes.items() if traits.get("exception")]

    def operation_model(self, name: str) -> OperationModel:
        """Raises KeyError for a name that the service does not have."""
        return OperationModel(name, self._operations[name], self)

    def shape_for(self, name: str) -> Shape:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = Shape(name, self._shapes[name], self)
        return made

    def resolve(self, reference: Mapping[str, Any]) -> Shape:
        """`{"shape": "Name", "location": "header", ...}`."""
        name = reference["shape"]
        if len(reference) == 1:
            return self.shape_for(name)
        own = {trait: value for trait, value in reference.items() if trait != "shape"}
        return Shape(name, {**self._shapes[name], **own}, self)


def exists(name: str) -> bool:
    """Whether AWS has a service of this boto3 client name."""
    return name in model_files.services()


@cache
def service(name: str) -> ServiceModel:
    """The model of a service by its boto3 client name (`sagemaker`, `sagemaker-runtime`, `s3`).

    Raises LookupError for a name that AWS does not have.
    """
    return ServiceModel(name, model_files.load(name, "service-2"))


@cache
def operation(service_name: str, operation_name: str) -> OperationModel:
    return service(service_name).operation_model(operation_name)


@cache
def pagination(service_name: str) -> Mapping[str, Mapping[str, Any]]:
    """By operation: input_token, output_token, limit_key, result_key. Empty where the service has none."""
    found: Mapping[str, Mapping[str, Any]] = model_files.load(service_name, "paginators-1")["pagination"]
    return found


def auth_path(service_name: str, operation_name: str) -> str:
    """The route with its first label: S3's requestUri may lack the bucket that authPath has."""
    http = operation(service_name, operation_name).http
    return str(http.get("authPath") or http["requestUri"])
