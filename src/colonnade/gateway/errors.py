"""Where every error becomes bytes: refusals by their name in the protocol's own shape, accidents as InternalFailure.

An accident's traceback goes to the log with the request id that the client was given; the client learns nothing else of it.
"""

from __future__ import annotations

import logging

from colonnade.gateway import protocols
from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.protocols.faults import described
from colonnade.gateway.refusals import spoken
from colonnade.kernel.errors import ServiceError

log = logging.getLogger(__name__)


def answer(exchange: Exchange, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        name = f"{exchange.plan.service}:{exchange.plan.operation}" if exchange.plan else exchange.raw_path
        log.error("request %s (%s) failed", exchange.request_id, name, exc_info=error)
        error = _internal(exchange)
    model = exchange.plan.model if exchange.plan else None
    protocol = spoken(exchange)
    speaks = protocols.named("rest-xml" if protocol == "s3" else protocol)
    return speaks.error(exchange, described(error, model))


def _internal(exchange: Exchange) -> ServiceError:
    code = "InternalError" if spoken(exchange) == "s3" else "InternalFailure"
    return ServiceError(
        code,
        f"We encountered an internal error. The server's log has it as request {exchange.request_id}.",
        status=500,
    )
