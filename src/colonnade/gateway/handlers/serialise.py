"""The result, as the protocol's bytes."""

from __future__ import annotations

from colonnade.gateway import post_form
from colonnade.gateway.exchange import Exchange


def serialise(exchange: Exchange) -> None:
    assert exchange.plan is not None
    exchange.response = exchange.plan.serialise(exchange, exchange.result)
    if exchange.post_form is not None:
        exchange.response = post_form.answer(exchange, exchange.post_form, exchange.result.get("ETag", ""))
