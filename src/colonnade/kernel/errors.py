"""The one exception a client may see. Domain code raises it by AWS's name; the gateway alone turns it into bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """A refusal that the caller is told about.

    `code` is AWS's name for it (`ValidationException`, `NoSuchKey`), modelled or not. The HTTP status and the place
    of further `members` (S3's `Key`, ModelError's `OriginalStatusCode`) come from the service's model; `status`
    settles it for codes that the model does not declare (default 400). `fault` is "client" or "server".
    """

    def __init__(
        self, code: str, message: str, *, status: int | None = None, members: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members: Mapping[str, Any] = members or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def validation(message: str) -> ServiceError:
    """SageMaker's usual refusal: its model does not declare it, its clients expect it."""
    return ServiceError("ValidationException", message)


def not_implemented(service: str, operation: str) -> ServiceError:
    """An operation that nobody wrote says so. 501 is not retried by the AWS SDKs, unlike 500, 502, 503, 504."""
    return ServiceError(
        "NotImplementedException",
        f"Colonnade does not implement {service}:{operation} yet. docs/operations.md lists what it does.",
        status=501,
    )
