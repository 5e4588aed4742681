"""AWS's service models, read through botocore: the one module that touches it.

Shapes, constraints, errors, pagination and routes of every operation come from here; nothing copies them. A model is
loaded at its first use (sagemaker's alone takes some 0.15 s) and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, cast

from botocore.loaders import Loader
from botocore.model import ServiceModel as _BotocoreServiceModel


class Shape(Protocol):
    """botocore's Shape, StructureShape, ListShape, MapShape, StringShape in one: ask `type_name` first."""

    name: str
    type_name: str
    metadata: Mapping[str, Any]
    """Constraints and marks: min, max, pattern, enum, required, sensitive, error, exception, eventstream..."""
    serialization: Mapping[str, Any]
    """Places on the wire: location, name, flattened, timestampFormat, payload, streaming..."""
    documentation: str
    members: Mapping[str, Shape]
    required_members: list[str]
    member: Shape
    key: Shape
    value: Shape
    enum: list[str]
    is_document_type: bool
    is_tagged_union: bool


class OperationModel(Protocol):
    name: str
    http: Mapping[str, Any]
    """method, requestUri, responseCode."""
    input_shape: Shape | None
    output_shape: Shape | None
    error_shapes: list[Shape]
    has_streaming_input: bool
    has_streaming_output: bool
    has_event_stream_output: bool
    idempotent_members: list[str]
    auth_type: str | None
    http_checksum: Mapping[str, Any]
    endpoint: Mapping[str, Any] | None
    service_model: ServiceModel

    def get_streaming_input(self) -> Shape | None: ...

    def get_streaming_output(self) -> Shape | None: ...


class ServiceModel(Protocol):
    service_name: str
    signing_name: str
    endpoint_prefix: str
    api_version: str
    protocol: str
    protocols: list[str]
    operation_names: list[str]
    metadata: Mapping[str, Any]
    error_shapes: list[Shape]
    shape_names: list[str]

    def operation_model(self, operation_name: str) -> OperationModel: ...

    def shape_for(self, shape_name: str) -> Shape: ...

    def shape_for_error_code(self, error_code: str) -> Shape | None: ...


@cache
def _loader() -> Loader:
    return Loader()


@cache
def _names() -> frozenset[str]:
    return frozenset(_loader().list_available_services("service-2"))


def exists(name: str) -> bool:
    """Whether AWS has a service of this boto3 client name."""
    return name in _names()


@cache
def service(name: str) -> ServiceModel:
    """The model of a service by its boto3 client name (`sagemaker`, `sagemaker-runtime`, `s3`).

    Raises botocore's UnknownServiceError for a name that AWS does not have.
    """
    description = _loader().load_service_model(name, "service-2")
    return cast(ServiceModel, _BotocoreServiceModel(description, name))


@cache
def operation(service_name: str, operation_name: str) -> OperationModel:
    return service(service_name).operation_model(operation_name)


@cache
def pagination(service_name: str) -> Mapping[str, Mapping[str, Any]]:
    """By operation: input_token, output_token, limit_key, result_key. Empty where the service has none."""
    return cast(
        Mapping[str, Mapping[str, Any]],
        _loader().load_service_model(service_name, "paginators-1")["pagination"],
    )


@cache
def auth_path(service_name: str, operation_name: str) -> str:
    """The route with its first label: for S3 botocore removes the bucket from `requestUri` and keeps it here."""
    raw = _loader().load_service_model(service_name, "service-2")["operations"][operation_name]["http"]
    return cast(str, raw.get("authPath") or raw["requestUri"])
