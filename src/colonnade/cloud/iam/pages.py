"""IAM's pages: `Marker`, `MaxItems` and `IsTruncated`, over anything that comes sorted by a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from colonnade.cloud.iam.entities import EntityType, scope, shown
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.store import Document, Query, Reader, each

T = TypeVar("T")
_DEFAULT = 100


def page(call: Call, member: str, items: Iterable[tuple[str, T]], show: Callable[[T], Any]) -> dict[str, Any]:
    """`items` are (name, item) in the order of names; those up to the marker are skipped."""
    after = _after(call)
    limit = int(call.parameters.get("MaxItems", _DEFAULT))
    rows: list[Any] = []
    last = ""
    for name, item in items:
        if after is not None and name <= after:
            continue
        if len(rows) == limit:
            return {member: rows, "IsTruncated": True, "Marker": encode_token([last])}
        rows.append(show(item))
        last = name
    return {member: rows, "IsTruncated": False}


def list_entities(call: Call, kind: EntityType, member: str) -> Result:
    with call.platform.store.read() as reader:
        return page(call, member, entities(call, reader, kind), lambda doc: shown(kind, doc, listed=True))


def entities(call: Call, reader: Reader, kind: EntityType) -> Iterator[tuple[str, Document]]:
    """Those below PathPrefix, from the marker on."""
    prefix = call.parameters.get("PathPrefix", "/")
    after = _after(call)
    query = Query(after=None if after is None else (after, after))
    for stored in each(reader, scope(call, kind), query):
        if stored.document["Path"].startswith(prefix):
            yield stored.key.name, stored.document


def _after(call: Call) -> str | None:
    marker = call.parameters.get("Marker")
    if marker is None:
        return None
    match decode_token(marker):
        case [str(name)]:
            return name
    raise ServiceError(
        "ValidationError",
        f"Invalid Marker: {marker!r}. Use the Marker of an answer to the same call.",
        status=400,
    )
