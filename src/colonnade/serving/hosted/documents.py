"""Where a hosted model's document lies, and what its first call writes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.store import Document, Key, Query, Stored, Transaction
from colonnade.serving import faults

TYPE = "hosted-model"
SIGNAL = "hosted-models"
"""Published by the leader with a model's key once its document says what came of it."""
_AT_ONCE = 500


def model_key(endpoint: Key, group: str, target: str) -> Key:
    """`group` tells containers apart, and those of one plan from those of the next."""
    return Key(*endpoint_scope(endpoint), f"{endpoint.name}/{group}/{target}")


def endpoint_scope(endpoint: Key) -> tuple[str, str, str, str, str]:
    return endpoint.partition, endpoint.account, endpoint.region, endpoint.service, TYPE


def parts(model: Key) -> tuple[Key, str, str]:
    """The endpoint, the group and the target of a model's key."""
    name, group, target = model.name.split("/", 2)
    endpoint = Key(model.partition, model.account, model.region, model.service, "Endpoint", name)
    return endpoint, group, target


def wanted(described: Mapping[str, Any], target: str) -> Document:
    """Raises ValidationError for a name that leads out of the container's prefix."""
    if target.startswith("/") or any(part in ("", ".", "..") for part in target.split("/")):
        raise faults.not_offered(
            f"TargetModel {target}",
            "it is the key of a model.tar.gz relative to the ModelDataUrl of the endpoint's model, "
            "without empty, . or .. parts.",
        )
    prefix = described["definition"]["ModelDataUrl"].removesuffix("/")
    given = {member: described[member] for member in ("definition", "role", "name", "shared")}
    return {**given, "url": f"{prefix}/{target}"}


def settled(document: Mapping[str, Any]) -> bool:
    return "failure" in document or "kind" in document.get("prepared", {})


def remove(transaction: Transaction, endpoint: Key, *, keep: set[str]) -> bool:
    """Some of an endpoint's models that belong to none of the groups to keep. False when there may be more."""
    scope = model_key(endpoint, "", "").scope
    rows = transaction.scan(scope, Query(name_prefix=f"{endpoint.name}/"))
    gone: list[Stored] = [row for row in rows if parts(row.key)[1] not in keep][:_AT_ONCE]
    for row in gone:
        transaction.delete(row.key)
    return len(gone) < _AT_ONCE
