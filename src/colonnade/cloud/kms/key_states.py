"""EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion, and what makes a deletion true."""

from __future__ import annotations

from colonnade.cloud.kms.keys import aliases, change, find, grants, own
from colonnade.cloud.kms.rotation import rotate_if_due
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import Again, Done, Outcome, reconciler, wake
from colonnade.kernel.store import Key, Query, Stored, Transaction, each

_DAY = 86_400.0
_LONGEST_NAP = 3600.0


def _set_state(state: str, call: Call) -> Result:
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        change(transaction, stored, {**own(stored), "KeyState": state}, at=call.now)
    return {}


@operation("kms", "EnableKey")
def enable(call: Call) -> Result:
    return _set_state("Enabled", call)


@operation("kms", "DisableKey")
def disable(call: Call) -> Result:
    return _set_state("Disabled", call)


@operation("kms", "ScheduleKeyDeletion")
def schedule_deletion(call: Call) -> Result:
    """Until then it can be had back, and not be used; afterwards nothing that it encrypted can ever be read."""
    days = int(call.parameters.get("PendingWindowInDays", 30))
    if not 7 <= days <= 30:
        raise ServiceError("ValidationException", f"PendingWindowInDays must be from 7 to 30, not {days}.")
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        document = {**own(stored), "KeyState": "PendingDeletion", "DeletionDate": call.now + days * _DAY}
        change(transaction, stored, document, at=call.now)
    wake(call.platform, stored.key)
    return {
        "KeyId": document["Arn"],
        "DeletionDate": document["DeletionDate"],
        "KeyState": "PendingDeletion",
        "PendingWindowInDays": days,
    }


@operation("kms", "CancelKeyDeletion")
def cancel_deletion(call: Call) -> Result:
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        document = stored.document
        if document["KeyState"] != "PendingDeletion":
            raise ServiceError("KMSInvalidStateException", f"{document['Arn']} is not pending deletion.")
        del document["DeletionDate"]
        change(transaction, stored, {**document, "KeyState": "Disabled"}, at=call.now)
    return {"KeyId": document["Arn"]}


def _fail(platform: Platform, key: Key, reason: str) -> None:
    raise RuntimeError(f"{key} cannot fail: {reason}")


@reconciler("kms", "key", fail=_fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    """Deletes what is due, rotates what is due."""
    now = platform.clock.now()
    with platform.store.write() as transaction:
        stored = transaction.get(key)
        if stored is None or not stored.active:
            return Done()
        if "DeletionDate" in stored.document:
            due: float = stored.document["DeletionDate"]
            if due <= now:
                _delete(transaction, stored)
                return Done()
        else:
            due = rotate_if_due(platform, transaction, stored, now)
    return Again(min(max(due - now, 0.0), _LONGEST_NAP))


def _delete(transaction: Transaction, stored: Stored) -> None:
    """The key with its material, the aliases that mean it, its grants."""
    key = stored.key
    for row in list(
        each(transaction, grants(key.partition, key.account, key.region), Query(name_prefix=f"{key.name}/"))
    ):
        transaction.delete(row.key)
    for row in list(each(transaction, aliases(key.partition, key.account, key.region))):
        if row.document["TargetKeyId"] == key.name:
            transaction.delete(row.key)
    transaction.delete(key)
