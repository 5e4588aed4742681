"""Run the operation: at once where it can, else synchronous ones in the bounded pool, asynchronous ones on the loop itself."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from concurrent.futures import Executor
from functools import cache
from typing import cast

from colonnade.gateway.exchange import Exchange
from colonnade.kernel import operations
from colonnade.kernel.operations import Handler, Result


def at_once(exchange: Exchange) -> bool:
    """False when the operation must wait for something: then `invoke` does."""
    plan, call = exchange.plan, exchange.call
    assert plan is not None
    assert call is not None
    handler = operations.find(plan.service, plan.operation).at_once
    if handler is None:
        return False
    result = handler(call)
    if result is None:
        return False
    exchange.result = result
    return True


async def invoke(exchange: Exchange) -> None:
    assert exchange.plan is not None
    assert exchange.call is not None
    handler = operations.find(exchange.plan.service, exchange.plan.operation).handler
    if _is_asynchronous(handler):
        result = await cast(Awaitable[Result | None], handler(exchange.call))
    else:
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(_pool(exchange), handler, exchange.call)
    exchange.result = result or {}


def _pool(exchange: Exchange) -> Executor:
    if exchange.stream is None or exchange.stream.arrived or exchange.uploads is None:
        return exchange.pool
    return exchange.uploads


@cache
def _is_asynchronous(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler)
