"""Temporary credentials: given out, kept until they expire, then swept away by those that come later."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from colonnade.kernel.operations import Call
from colonnade.kernel.ports import Principal
from colonnade.kernel.store import Order, Query, Scope, Transaction

SESSIONS = Scope("", "", "", "sts", "session")
"""Of all accounts: a request names nothing but the key's id. IAM's principals look here."""

_SWEEP = 20
"""Expired sessions removed at each new one, so that they never pile up."""


def give(call: Call, principal: Principal, seconds: int) -> dict[str, Any]:
    """New credentials for this principal, as the wire's `Credentials`. No other process needs telling: it finds the key in the
    store at its first use."""
    ids = call.platform.ids
    key_id, secret, token = "ASIA" + ids.token(16), ids.token(40), ids.token(120)
    expires = float(int(call.now) + seconds)
    session = {
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expires": expires,
        "Principal": asdict(principal) | {"session_policies": list(principal.session_policies)},
    }
    with call.write() as transaction:
        _sweep(transaction, call.now)
        transaction.put(SESSIONS.key(key_id), session, expect=0, at=call.now, status=_sortable(expires))
    return {"AccessKeyId": key_id, "SecretAccessKey": secret, "SessionToken": token, "Expiration": expires}


def _sweep(transaction: Transaction, now: float) -> None:
    for row in transaction.scan(SESSIONS, Query(order=Order.STATUS, limit=_SWEEP)):
        if row.status < _sortable(now):
            transaction.delete(row.key)


def _sortable(at: float) -> str:
    return f"{int(at):012d}"
