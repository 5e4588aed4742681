"""All that an operation needs on the wire, compiled once: its codec, its checks, how its body is read.

A plan is built at the operation's first request in a process (milliseconds) and kept; requests after that only look it up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from colonnade.gateway import protocols, services
from colonnade.gateway.protocols import Parse, Serialise, WireProtocol
from colonnade.kernel import models, validation
from colonnade.kernel.models import OperationModel
from colonnade.kernel.operations import Parameters

_MEBIBYTE = 1024 * 1024
BODY_LIMIT = 16 * _MEBIBYTE
_JUDGING = ("s3", "sqs")
"""Services that judge values themselves, with errors of their own; SQS also takes more than its model tells."""
FORM_LIMIT = 4 * _MEBIBYTE
_BODY_LIMITS = {
    "ecr": 32 * _MEBIBYTE,  # a layer's part of 20 MiB, as base64
    "lambda": 68 * _MEBIBYTE,  # an archive of 50 MiB, as base64
    "s3": 6 * _MEBIBYTE,  # documents: content streams and has limits of its own
    "sagemaker-runtime": 6 * _MEBIBYTE,
}


@dataclass(frozen=True, slots=True)
class Plan:
    service: str
    operation: str
    protocol: str
    speaks: WireProtocol
    model: OperationModel
    parse: Parse
    validate: Callable[[Parameters], None]
    serialise: Serialise
    streams_in: bool
    """The body goes to the handler as it arrives."""
    body_limit: int
    signed: bool
    """False for the few that nobody can sign yet (AssumeRoleWithWebIdentity)."""


@cache
def plan(service: str, operation: str, protocol: str) -> Plan:
    model = models.operation(service, operation)
    speaks = protocols.named(protocol)
    return Plan(
        service=service,
        operation=operation,
        protocol=protocol,
        speaks=speaks,
        model=model,
        parse=speaks.parser(model),
        validate=_validator(service, model),
        serialise=speaks.serialiser(model),
        streams_in=_streams(model),
        body_limit=_BODY_LIMITS.get(service, BODY_LIMIT),
        signed=model.auth_type != "none",
    )


def _streams(model: OperationModel) -> bool:
    """By the trait, as botocore's `has_streaming_input` counts every blob payload (InvokeEndpoint's, Invoke's)."""
    shape = model.input_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    return bool(shape and payload and shape.members[payload].serialization.get("streaming"))


def _validator(service: str, model: OperationModel) -> Callable[[Parameters], None]:
    if model.input_shape is None:
        return _anything
    return validation.compiled(model.input_shape, code=_code(service), lenient=service in _JUDGING)


def _anything(parameters: Any) -> None:
    return None


_CODES = {
    "athena": "InvalidRequestException",
    "ecr": "InvalidParameterException",
    "logs": "InvalidParameterException",
}
"""Services whose refusals of constraints go by a name of their own."""


def _code(service: str) -> str:
    """Whatever the model declares: only sagemaker's control plane answers a code that its model does not have."""
    if service == "s3":
        return "InvalidArgument"
    declared = {shape.name for shape in models.service(service).error_shapes}
    named_so = "ValidationError" in declared and "ValidationException" not in declared
    if named_so or services.protocols(service)[0] == "query":
        return "ValidationError"
    return _CODES.get(service, "ValidationException")


# Bounded: the client chooses the keys.
@lru_cache(maxsize=4096)
def by_target(signing_name: str | None, target: bytes) -> Plan | None:
    """`SageMaker.CreateModel`. Unsigned requests have no signing name; then the prefix alone must be known."""
    prefix, _, operation = target.decode("latin-1").rpartition(".")
    for service in services.signed_as(signing_name) if signing_name else ():
        model = models.service(service)
        if model.metadata.get("targetPrefix") == prefix and "json" in services.protocols(service):
            return plan(service, operation, "json") if operation in _names(service) else None
    return None


@lru_cache(maxsize=4096)
def by_smithy_path(signing_name: str, prefix: str, operation: str) -> Plan | None:
    """`GraniteServiceVersion20100801`, `GetMetricData`. Smithy's own name of a service is the last part of a dotted prefix."""
    for service in services.signed_as(signing_name):
        known = models.service(service).metadata.get("targetPrefix", "")
        if prefix in (known, known.rpartition(".")[2]) and operation in _names(service):
            return plan(service, operation, "smithy-rpc-v2-cbor")
    return None


@lru_cache(maxsize=4096)
def by_action(signing_name: str, action: str) -> Plan | None:
    for service in services.signed_as(signing_name):
        if "query" in services.protocols(service) and action in _names(service):
            return plan(service, action, "query")
    return None


@cache
def _names(service: str) -> frozenset[str]:
    return frozenset(models.service(service).operation_names)
