"""The queue of asynchronous requests: documents, taken by claims that end with the process which holds them.

A request's name is `<endpoint>/<instant of acceptance>-<token>`, so that names tell the order; its `modified` column holds the instant at
which it expires; it is `active` while somebody works on it. All transactions here are short, and each of them leaves the queue such
that anybody can be killed before or after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from colonnade.kernel.reconcile import lease
from colonnade.kernel.store import (
    Document,
    Key,
    Order,
    Query,
    Reader,
    Scope,
    Store,
    Stored,
    Transaction,
    each,
)

SERVICE, TYPE = "sagemaker", "async-request"
QUEUED, CLAIMED = "queued", "claimed"
MOST_DEATHS = 5
"""Processes that may end under a request before it is held to be the reason."""


def scope_of(endpoint: Key) -> Scope:
    return Scope(endpoint.partition, endpoint.account, endpoint.region, SERVICE, TYPE)


def prefix_of(endpoint: Key) -> str:
    return f"{endpoint.name}/"


def endpoint_of(request: Key) -> Key:
    name = request.name.partition("/")[0]
    return Key(request.partition, request.account, request.region, SERVICE, "Endpoint", name)


def add(
    transaction: Transaction, endpoint: Key, request: Mapping[str, Any], body: bytes | None, *, token: str
) -> None:
    """`request` as it was accepted, with its `accepted` and `expires`."""
    document: Document = {**request, "deaths": 0}
    if body is not None:
        document["content"] = transaction.add_content(body)
    key = scope_of(endpoint).key(f"{prefix_of(endpoint)}{request['accepted']:017.6f}-{token}")
    _put(transaction, key, document, QUEUED, expect=0)


def _put(
    transaction: Transaction, key: Key, document: Document, status: str, *, expect: int | None = None
) -> Stored:
    return transaction.put(
        key, document, expect=expect, at=document["expires"], status=status, active=status == CLAIMED
    )


# Taking


def claim(store: Store, endpoint: Key, capacity: int, me: str, now: float) -> Sequence[Stored]:
    """The oldest requests, as far as the endpoint's capacity reaches that others have not taken. They are ours now."""
    scope, prefix = scope_of(endpoint), prefix_of(endpoint)
    waiting = Query(name_prefix=prefix, status=QUEUED, limit=1)
    with store.read() as reader:
        if capacity <= 0 or not reader.scan(scope, waiting):
            return []
    with store.write() as transaction:
        free = capacity - len(transaction.scan(scope, Query(name_prefix=prefix, active=True)))
        if free <= 0:
            return []
        rows = transaction.scan(scope, Query(name_prefix=prefix, status=QUEUED, limit=free))
        return [_claimed(transaction, row, me, now) for row in rows]


def claim_expired(store: Store, endpoint: Key, me: str, now: float, *, most: int = 20) -> Sequence[Stored]:
    """Those that have waited longer than they may: to be told so."""
    scope, prefix = scope_of(endpoint), prefix_of(endpoint)
    late = Query(order=Order.MODIFIED, modified_before=now, name_prefix=prefix, status=QUEUED, limit=most)
    with store.read() as reader:
        if not reader.scan(scope, late):
            return []
    with store.write() as transaction:
        return [_claimed(transaction, row, me, now) for row in transaction.scan(scope, late)]


def claim_all(store: Store, endpoint: Key, me: str, now: float, *, most: int = 20) -> Sequence[Stored]:
    """Of an endpoint that is being deleted: nobody will ever work on what waits."""
    scope, waiting = scope_of(endpoint), Query(name_prefix=prefix_of(endpoint), status=QUEUED, limit=most)
    with store.write() as transaction:
        return [_claimed(transaction, row, me, now) for row in transaction.scan(scope, waiting)]


def _claimed(transaction: Transaction, row: Stored, me: str, now: float) -> Stored:
    document = {**row.document, "claim": {"holder": me, "at": now}}
    return _put(transaction, row.key, document, CLAIMED, expect=row.version)


def release(store: Store, request: Stored, *, died: int) -> None:
    """Back into the queue, at its old place. `died`: so many processes under this request, whoever was at fault."""
    with store.write() as transaction:
        row = transaction.get(request.key)
        if row is not None and row.document.get("claim") == request.document["claim"]:
            _release(transaction, row, died=died)


def _release(transaction: Transaction, row: Stored, *, died: int) -> None:
    document = {name: value for name, value in row.document.items() if name != "claim"}
    _put(transaction, row.key, {**document, "deaths": document["deaths"] + died}, QUEUED)


def recover(store: Store) -> set[Key]:
    """Give back what processes held that are gone. Answers the endpoints concerned."""
    with store.read() as reader:
        gone = [row for row in reader.scan_types(SERVICE, TYPE, active=True) if _is_orphan(row)]
    for orphan in gone:
        release(store, orphan, died=1)
    return {endpoint_of(row.key) for row in gone}


def _is_orphan(row: Stored) -> bool:
    return lease.is_gone(row.document["claim"]["holder"])


# While it is worked on


def note(store: Store, request: Stored, **noted: Any) -> Stored:
    """Write something down beside the request that we hold. Raises LookupError when it is not ours any more."""
    with store.write() as transaction:
        row = _ours(transaction, request)
        return _put(transaction, row.key, {**row.document, **noted}, CLAIMED)


def remove(transaction: Transaction, request: Stored) -> None:
    """It is over: told in the same transaction. Raises LookupError when it is not ours any more."""
    row = _ours(transaction, request)
    if "content" in row.document:
        transaction.remove_content(row.document["content"])
    transaction.delete(row.key)


def _ours(transaction: Transaction, request: Stored) -> Stored:
    row = transaction.get(request.key)
    if row is None or row.document.get("claim") != request.document["claim"]:
        raise LookupError(f"{request.key} is somebody else's by now")
    return row


# Looking


def waiting(reader: Reader, endpoint: Key) -> Iterator[Stored]:
    """All that are neither answered nor failed, the oldest first."""
    return each(reader, scope_of(endpoint), Query(name_prefix=prefix_of(endpoint)))
