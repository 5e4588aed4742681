"""What a protocol needs to know to write an error: the ServiceError, joined with what the service's model says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colonnade.kernel import models
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.models import OperationModel, Shape

_QUERY_CODES = {
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDeletedRecently": "AWS.SimpleQueueService.QueueDeletedRecently",
    "QueueNameExists": "QueueAlreadyExists",
    "PurgeQueueInProgress": "AWS.SimpleQueueService.PurgeQueueInProgress",
    "EmptyBatchRequest": "AWS.SimpleQueueService.EmptyBatchRequest",
    "TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    "BatchEntryIdsNotDistinct": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    "BatchRequestTooLong": "AWS.SimpleQueueService.BatchRequestTooLong",
    "InvalidBatchEntryId": "AWS.SimpleQueueService.InvalidBatchEntryId",
    "MessageNotInflight": "AWS.SimpleQueueService.MessageNotInflight",
    "UnsupportedOperation": "AWS.SimpleQueueService.UnsupportedOperation",
}
"""Names that SQS's errors had in its query protocol. Its clients still compare with them; its model does not tell them any more."""


@dataclass(frozen=True, slots=True)
class Fault:
    code: str
    """The shape's name where the error is modelled (json), else the code as raised."""
    query_code: str
    """The model's `error.code` where it has one: NoSuchEntity for NoSuchEntityException."""
    message: str
    status: int
    sender: str
    """"Sender" or "Receiver", as the query protocol calls whose fault it is."""
    shape: Shape | None
    members: Mapping[str, Any]
    """The shape's members, message included; for unmodelled errors those that were raised."""


def described(error: ServiceError, model: OperationModel | None) -> Fault:
    shape = _shape(error.code, model)
    about: Mapping[str, Any] = shape.metadata.get("error", {}) if shape else {}
    status = error.status or about.get("httpStatusCode") or _default_status(shape)
    members = dict(error.members)
    if shape is not None:
        name = next((name for name in shape.members if name.lower() == "message"), None)
        if name is not None:
            members.setdefault(name, error.message)
    return Fault(
        code=shape.name if shape else error.code,
        query_code=about.get("code") or _query_code(error.code, model),
        message=error.message,
        status=status,
        sender="Sender" if status < 500 else "Receiver",
        shape=shape,
        members=members,
    )


def _query_code(code: str, model: OperationModel | None) -> str:
    if model is None or model.service_model.service_name != "sqs":
        return code
    return _QUERY_CODES.get(code, code)


def _shape(code: str, model: OperationModel | None) -> Shape | None:
    if model is None:
        return None
    service = models.service(model.service_model.service_name)
    for shape in (*model.error_shapes, *service.error_shapes):
        if code in (shape.name, shape.metadata.get("error", {}).get("code")):
            return shape
    return None


def _default_status(shape: Shape | None) -> int:
    return 500 if shape is not None and shape.metadata.get("fault") else 400
