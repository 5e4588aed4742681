"""Where every error becomes bytes: refusals by their name in the protocol's own shape, accidents as InternalFailure.

An accident's traceback goes to the log with the request id that the client was given; the client learns nothing else of it.
Two accidents are told, since somebody has to mend them: a full disk, and data that something changed on the disk.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator

from colonnade.gateway import protocols
from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.protocols.faults import described
from colonnade.gateway.refusals import spoken
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.store import Corrupt

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_STORE = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
log = logging.getLogger(__name__)


def answer(exchange: Exchange, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        name = f"{exchange.plan.service}:{exchange.plan.operation}" if exchange.plan else exchange.raw_path
        full = _is_full(error)
        # A traceback for each refused request would be the last thing that a full disk needs.
        log.error(
            "request %s (%s) failed%s",
            exchange.request_id,
            name,
            ": the disk of the data folder is full" if full else "",
            exc_info=None if full else error,
        )
        error = _internal(exchange, error, full=full)
    model = exchange.plan.model if exchange.plan else None
    protocol = spoken(exchange)
    speaks = protocols.named("rest-xml" if protocol == "s3" else protocol)
    response = speaks.error(exchange, described(error, model))
    if response.status == 503:
        response.headers.append((b"retry-after", b"1"))
    return response


def _internal(exchange: Exchange, error: Exception, *, full: bool) -> ServiceError:
    code = "InternalError" if spoken(exchange) == "s3" else "InternalFailure"
    if full:
        # 507 is not retried by the AWS SDKs, and a disk is not emptied by asking again.
        return ServiceError(
            code,
            "The disk that holds the server's data folder is full, so nothing was written. Free space there, then "
            "send the request again.",
            status=507,
        )
    if isinstance(error, Corrupt):
        return ServiceError(code, str(error), status=500)
    return ServiceError(
        code,
        f"We encountered an internal error. The server's log has it as request {exchange.request_id}.",
        status=500,
    )


def _is_full(error: BaseException) -> bool:
    return any(
        (isinstance(each, OSError) and each.errno in _FULL)
        or getattr(each, "sqlite_errorname", "") in _FULL_STORE
        for each in _and_causes(error)
    )


def _and_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
