"""Tags of users, roles and managed policies. Conditions see those of whoever asks, as aws:PrincipalTag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colonnade.cloud.iam import managed_policies
from colonnade.cloud.iam.entities import POLICY, ROLE, USER, EntityType, editing, get, limit_exceeded
from colonnade.cloud.iam.pages import page
from colonnade.kernel.operations import Call, Effect, Result, add
from colonnade.kernel.store import Document

_MOST = 50


def given(call: Call) -> dict[str, Any]:
    """The member to store, if the call brings tags."""
    tags = call.parameters.get("Tags")
    return {"Tags": _sorted({tag["Key"]: tag["Value"] for tag in tags})} if tags else {}


def _put(kind: EntityType, document: Document, call: Call) -> None:
    tags = {tag["Key"]: tag["Value"] for tag in document.get("Tags", ())}
    tags |= {tag["Key"]: tag["Value"] for tag in call.parameters["Tags"]}
    if len(tags) > _MOST:
        raise limit_exceeded(f"Cannot exceed quota for TagsPer{kind.noun}: {_MOST}")
    document["Tags"] = _sorted(tags)


def _remove(kind: EntityType, document: Document, call: Call) -> None:
    gone = set(call.parameters["TagKeys"])
    document["Tags"] = [tag for tag in document.get("Tags", ()) if tag["Key"] not in gone]


def _sorted(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _changes(
    kind: EntityType, change: Callable[[EntityType, Document, Call], None]
) -> Callable[[Call], None]:
    def handler(call: Call) -> None:
        opened = managed_policies.editing(call) if kind is POLICY else editing(call, kind)
        with opened as document:
            change(kind, document, call)

    return handler


def _lists(kind: EntityType) -> Callable[[Call], Result]:
    def handler(call: Call) -> Result:
        document = managed_policies.get(call) if kind is POLICY else get(call, kind)
        return page(call, "Tags", ((tag["Key"], tag) for tag in document.get("Tags", ())), dict)

    return handler


for _kind in (USER, ROLE, POLICY):
    add("iam", f"Tag{_kind.noun}", _changes(_kind, _put), effect=Effect.REAL)
    add("iam", f"Untag{_kind.noun}", _changes(_kind, _remove), effect=Effect.REAL)
    add("iam", f"List{_kind.noun}Tags", _lists(_kind), effect=Effect.REAL)
