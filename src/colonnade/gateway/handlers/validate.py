"""Do the parameters satisfy the model? Clients check less than servers do."""

from __future__ import annotations

from colonnade.gateway.exchange import Exchange
from colonnade.kernel.errors import ServiceError


def validate(exchange: Exchange) -> None:
    assert exchange.plan is not None
    assert exchange.call is not None
    try:
        exchange.plan.validate(exchange.call.parameters)
    except RecursionError:
        raise ServiceError("SerializationException", "the request is nested too deeply", status=400) from None
