"""Members of documents, as shapes declare them: what a shape shows of a stored resource, what an update's members mean.

`resources.py` calls it. Stored documents hold requests, whose nested shapes may know more than an answer's may tell (a client
secret) or name it differently, so whatever leaves is cut to the answer's shape, at every depth.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from colonnade.kernel import models
from colonnade.kernel.store import Document, Stored


def visible(shape: models.Shape, stored: Stored, derived: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a shape's members say of a stored resource. Absent members stay absent, and so do empty structures: the SDKs
    fail on `VpcConfig: {}`."""
    known = {**times(stored), **stored.document, **(derived or {})}
    shown = {member: _cut(inner, known[member]) for member, inner in shape.members.items() if member in known}
    return {member: value for member, value in shown.items() if value is not None and value != {}}


def times(stored: Stored) -> dict[str, float]:
    return {
        "CreationTime": stored.created,
        "CreateDate": stored.created,
        "LastModifiedTime": stored.modified,
        "LastUpdatedDate": stored.modified,
    }


def _cut(shape: models.Shape, value: Any) -> Any:
    if isinstance(value, Mapping) and shape.type_name == "structure":
        return {
            member: _cut(inner, value[member]) for member, inner in shape.members.items() if member in value
        }
    if isinstance(value, list) and shape.type_name == "list":
        return [_cut(shape.member, each) for each in value]
    if isinstance(value, Mapping) and shape.type_name == "map":
        return {key: _cut(shape.value, each) for key, each in value.items()}
    return value


def update(document: Document, given: Mapping[str, Any], merged: Collection[str]) -> None:
    """Members replace their namesakes. Those of `merged` are laid over them, member by member; `XToAdd` and `XToRemove` change
    a list's items or a map's keys, and `XForUpdate` is another name for X."""
    for member, value in given.items():
        name = member.removesuffix("ForUpdate").removesuffix("ToAdd").removesuffix("ToRemove")
        before = document.get(name)
        if member.endswith("ToRemove"):
            if before is not None:
                document[name] = _without(before, value)
        elif member.endswith("ToAdd"):
            document[name] = [*(before or []), *value]
        elif name in merged and isinstance(before, Mapping):
            document[name] = {**before, **value}
        else:
            document[name] = value


def _without(value: Any, gone: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: each for key, each in value.items() if key not in gone}
    return [each for each in value if each not in gone]
