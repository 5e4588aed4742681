"""Pages of lists: filters, order and opaque tokens, driven by the list operation's own shapes.

A token carries where the page ended and a fingerprint of the filters: with other filters it is refused, as AWS does.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from colonnade.kernel import json_text, models
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Result
from colonnade.kernel.store import Order, Query, Reader, Scope, Stored

Show = Callable[[models.Shape, Stored], Mapping[str, Any]]
Keep = Callable[[Stored], bool]
Column = Callable[[Stored], str | float]

_FILTERS = {
    "NameContains": "name_contains",
    "CreationTimeAfter": "created_after",
    "CreationTimeBefore": "created_before",
    "CreatedAfter": "created_after",
    "CreatedBefore": "created_before",
    "LastModifiedTimeAfter": "modified_after",
    "LastModifiedTimeBefore": "modified_before",
    "ModifiedTimeAfter": "modified_after",
    "ModifiedTimeBefore": "modified_before",
    "StatusEquals": "status",
}
_NOT_FILTERS = {"NextToken", "MaxResults"}
UNDERSTOOD = frozenset({*_FILTERS, *_NOT_FILTERS, "SortBy", "SortOrder"})
"""The members of List operations that `list_page` heeds by itself; any other filter is its caller's, by `keep`."""
DEFAULT_PAGE = 10
_SIFTED = 200
"""How many rows are fetched at once where `keep` may drop most of them."""


def list_page(
    call: Call,
    scope: Scope,
    show: Show,
    *,
    keep: Keep | None = None,
    name_prefix: str = "",
    name_part: str = "",
) -> Result:
    """Answer a List operation whose rows are the documents of a scope. Raises ValidationException for a bad token.
    `name_part`: what the names of all that `keep` keeps contain, so that the others need not be read."""
    limit = int(call.parameters.get("MaxResults", DEFAULT_PAGE))
    query = _query(call, name_prefix)
    query = replace(query, name_contains=name_part or query.name_contains)
    with call.platform.store.read() as reader:
        found = _rows(reader, scope, replace(query, limit=max(limit + 1, _SIFTED) if keep else limit + 1))
        rows = list(islice(filter(keep, found) if keep else found, limit + 1))
    return _page(call, rows, show, lambda row: _value(query.order, row))


def sorted_page(call: Call, rows: Iterable[Stored], show: Show, columns: Mapping[str, Column]) -> Result:
    """Answer a List operation from rows that were read and filtered already, and are few: `columns` says by SortBy's values
    what they are put in order by, where that is not the store's order. Raises ValidationException for a bad token."""
    parameters = call.parameters
    column = columns[parameters.get("SortBy") or default_sort(call.service, call.operation)]
    descending = (parameters.get("SortOrder") or default_order(call.service, call.operation)) == "Descending"

    def place(row: Stored) -> tuple[str | float, str]:
        return column(row), row.key.name

    ordered = sorted(rows, key=place, reverse=descending)
    after = _position(parameters)
    if after is not None:
        ordered = [row for row in ordered if (place(row) < after if descending else place(row) > after)]
    return _page(call, ordered, show, column)


def _page(call: Call, rows: Sequence[Stored], show: Show, column: Column) -> Result:
    """The first of `rows`, and a token if there are more."""
    limit = int(call.parameters.get("MaxResults", DEFAULT_PAGE))
    result_member, summary = _summaries(call.service, call.operation)
    result: dict[str, Any] = {result_member: [show(summary, row) for row in rows[:limit]]}
    if len(rows) > limit:
        last = rows[limit - 1]
        result["NextToken"] = encode_token([_fingerprint(call.parameters), column(last), last.key.name])
    return result


def _query(call: Call, name_prefix: str) -> Query:
    parameters = call.parameters
    direction = parameters.get("SortOrder") or default_order(call.service, call.operation)
    bounds = {
        field: parameters[member] for member, field in _FILTERS.items() if parameters.get(member) is not None
    }
    return Query(
        order=_order(parameters.get("SortBy") or default_sort(call.service, call.operation)),
        descending=direction.capitalize() == "Descending",
        after=_position(parameters),
        name_prefix=name_prefix,
        **bounds,
    )


def _rows(reader: Reader, scope: Scope, query: Query) -> Iterator[Stored]:
    while True:
        found = reader.scan(scope, query)
        yield from found
        if query.limit is None or len(found) < query.limit:
            return
        query = replace(query, after=(_value(query.order, found[-1]), found[-1].key.name))


def _order(sort_by: str) -> Order:
    """The model spells its columns in many ways: Name, IMAGE_NAME, HubName; CreationTime, CREATION_TIME, CreateDate.

    Versions count up with time. Raises for a column that the store does not order by.
    """
    column = sort_by.replace("_", "").lower()
    if column in ("creationtime", "createdat", "createdate", "version"):
        return Order.CREATED
    if column == "lastmodifiedtime":
        return Order.MODIFIED
    if column.endswith("name"):
        return Order.NAME
    if column.endswith("status"):
        return Order.STATUS
    raise ServiceError(
        "NotImplementedException", f"Colonnade cannot sort by {sort_by} yet: leave SortBy out.", status=501
    )


@cache
def default_order(service: str, operation: str) -> str:
    """What the model's documentation of SortOrder says; Descending where it says nothing."""
    return _documented(service, operation, "SortOrder", "Descending")


@cache
def default_sort(service: str, operation: str) -> str:
    """What the model's documentation of SortBy says; CreationTime where it says nothing."""
    return _documented(service, operation, "SortBy", "CreationTime")


def _documented(service: str, operation: str, member: str, otherwise: str) -> str:
    shape = models.operation(service, operation).input_shape
    if shape is None or member not in shape.members:
        return otherwise
    said = re.search(
        r"default (?:value )?is (?:<code>)?(\w+)", shape.members[member].documentation, re.IGNORECASE
    )
    return said.group(1) if said and said.group(1) in shape.members[member].enum else otherwise


@cache
def _summaries(service: str, operation: str) -> tuple[str, models.Shape]:
    """The output member that holds the rows, and the shape of one."""
    shape = models.operation(service, operation).output_shape
    lists = {} if shape is None else {n: m for n, m in shape.members.items() if m.type_name == "list"}
    if len(lists) != 1:
        raise TypeError(f"{service}:{operation} has {len(lists)} list members: write its page by hand")
    ((name, member),) = lists.items()
    return name, member.member


def _fingerprint(parameters: Mapping[str, Any]) -> int:
    filters = {name: value for name, value in parameters.items() if name not in _NOT_FILTERS}
    return zlib.crc32(json.dumps(filters, sort_keys=True, default=str).encode())


def _value(order: Order, row: Stored) -> str | float:
    values: dict[Order, str | float] = {
        Order.NAME: row.key.name,
        Order.CREATED: row.created,
        Order.MODIFIED: row.modified,
        Order.STATUS: row.status,
    }
    return values[order]


def _position(parameters: Mapping[str, Any]) -> tuple[str | float, str] | None:
    token = parameters.get("NextToken")
    if token is None:
        return None
    match decode_token(token):
        case [int(fingerprint), str() | float() | int() as value, str(name)] if fingerprint == _fingerprint(
            parameters
        ):
            return value, name
    raise validation(
        f"Invalid pagination token: {token}. Use the NextToken of an answer to the same filters."
    )


def encode_token(value: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def decode_token(token: str) -> Any:
    """What `encode_token` took, or None when it is not such a token."""
    try:
        return json_text.read(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, UnicodeError):
        return None
