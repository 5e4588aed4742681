"""A request's way through the gateway, written out: the order is the information.

Each step reads what earlier ones found out about the exchange and adds its own. A step that has nothing to wait for returns
None, so that the hot path does not pay for a coroutine. Any ServiceError ends the chain and is answered by `errors.py`.

`walk_at_once` goes the same way without waiting, as far as that leads; `walk` goes on from where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from colonnade.gateway.exchange import Exchange
from colonnade.gateway.handlers.authenticate import authenticate
from colonnade.gateway.handlers.authorise import authorise
from colonnade.gateway.handlers.identify import identify
from colonnade.gateway.handlers.invoke import at_once, invoke
from colonnade.gateway.handlers.parse import parse
from colonnade.gateway.handlers.receive import receive
from colonnade.gateway.handlers.serialise import serialise
from colonnade.gateway.handlers.validate import validate

Step = Callable[[Exchange], Awaitable[None] | None]

CHAIN: tuple[Step, ...] = (
    # First, since only the operation's model says how large a body may be, whether it streams, whether it must be signed,
    # and in which protocol's shape a refusal is written.
    identify,
    # Before authentication, since most signatures cover the body's digest. Bodies are bounded; streamed ones wait.
    receive,
    # Before anything looks inside the body: nobody unknown reaches a parser.
    authenticate,
    # Before validation, which judges members, not bytes. Unwritten operations end here.
    parse,
    # Before authorisation, which may need names from the parameters to say what resource is meant.
    validate,
    # Immediately before the work, with everything about the call known.
    authorise,
    # Here also: a mutation's audit record is written in the operation's own transaction (Call.write), never before or after it,
    # so that neither can exist without the other.
    invoke,
    # Last, and outside the operation's transaction: bytes never hold a lock.
    serialise,
)


_WEIGHED: frozenset[Step] = frozenset((authenticate, parse, validate))
"""Their work grows with the body."""
_HEAVY = 512 * 1024


_BEFORE_WORK = CHAIN[: CHAIN.index(invoke)]


async def walk(exchange: Exchange) -> None:
    for step in CHAIN[exchange.steps_done :]:
        if len(exchange.body) > _HEAVY and step in _WEIGHED:
            # Nobody else's request waits for a large one to be hashed and taken apart.
            await asyncio.get_running_loop().run_in_executor(exchange.pool, step, exchange)
            continue
        waiting = step(exchange)
        if waiting is not None:
            await waiting


def walk_at_once(exchange: Exchange) -> bool:
    """On the event loop, for a request whose whole body is there. False when the operation takes a thread, or has to wait."""
    for step in _BEFORE_WORK:
        waiting = step(exchange)
        if waiting is not None:
            _finish(waiting)
    exchange.steps_done = len(_BEFORE_WORK)
    if not at_once(exchange):
        return False
    serialise(exchange)
    return True


def _finish(waiting: Awaitable[None]) -> None:
    """A step that would wait for the body, were it not there."""
    try:
        waiting.__await__().__next__()
    except StopIteration:
        return
    raise RuntimeError("a step of the chain waits for more than the request's body")
