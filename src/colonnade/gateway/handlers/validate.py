"""Do the parameters satisfy the model? Clients check less than servers do."""

from __future__ import annotations

from colonnade.gateway.exchange import Exchange


def validate(exchange: Exchange) -> None:
    assert exchange.plan is not None
    assert exchange.call is not None
    exchange.plan.validate(exchange.call.parameters)
