"""May the caller do this? Asked of this process's snapshot of policies, so it needs no thread."""

from __future__ import annotations

from colonnade.gateway.exchange import Exchange
from colonnade.kernel import operations


def authorise(exchange: Exchange) -> None:
    assert exchange.plan is not None
    assert exchange.call is not None
    if not exchange.plan.signed:
        # AssumeRoleWithWebIdentity and AssumeRoleWithSAML judge the token they are given; no policy speaks of the anonymous.
        return
    operations.authorise(operations.find(exchange.plan.service, exchange.plan.operation), exchange.call)
