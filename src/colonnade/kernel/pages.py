"""Pages of lists: filters, order and opaque tokens, driven by the list operation's own shapes.

A token carries where the page ended and a fingerprint of the filters: with other filters it is refused, as AWS does.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from colonnade.kernel import models
from colonnade.kernel.errors import validation
from colonnade.kernel.operations import Call, Result
from colonnade.kernel.store import Order, Query, Scope, Stored

Show = Callable[[models.Shape, Stored], Mapping[str, Any]]

_ORDERS = {
    "Name": Order.NAME,
    "CreationTime": Order.CREATED,
    "CreatedAt": Order.CREATED,
    "LastModifiedTime": Order.MODIFIED,
    "Status": Order.STATUS,
}
_FILTERS = {
    "NameContains": "name_contains",
    "CreationTimeAfter": "created_after",
    "CreationTimeBefore": "created_before",
    "LastModifiedTimeAfter": "modified_after",
    "LastModifiedTimeBefore": "modified_before",
    "StatusEquals": "status",
}
_NOT_FILTERS = {"NextToken", "MaxResults"}
DEFAULT_PAGE = 10


def list_page(call: Call, scope: Scope, show: Show) -> Result:
    """Answer a List operation whose rows are the documents of a scope. Raises ValidationException for a bad token."""
    parameters = call.parameters
    order = _ORDERS.get(parameters.get("SortBy", "CreationTime"), Order.CREATED)
    given = parameters.get("SortOrder") or default_order(call.service, call.operation)
    limit = int(parameters.get("MaxResults", DEFAULT_PAGE))
    query = Query(
        order=order,
        descending=given == "Descending",
        after=_position(parameters),
        limit=limit + 1,
        **{
            field: parameters[member]
            for member, field in _FILTERS.items()
            if parameters.get(member) is not None
        },
    )
    with call.platform.store.read() as reader:
        rows = reader.scan(scope, query)
    result_member, summary = _summaries(call.service, call.operation)
    result: dict[str, Any] = {result_member: [show(summary, row) for row in rows[:limit]]}
    if len(rows) > limit:
        result["NextToken"] = _token(parameters, order, rows[limit - 1])
    return result


@cache
def default_order(service: str, operation: str) -> str:
    """What the model's documentation of SortOrder says; Descending where it says nothing."""
    shape = models.operation(service, operation).input_shape
    if shape is None or "SortOrder" not in shape.members:
        return "Descending"
    said = re.search(r"default is <code>(\w+)</code>", shape.members["SortOrder"].documentation)
    return said.group(1) if said else "Descending"


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


def _token(parameters: Mapping[str, Any], order: Order, last: Stored) -> str:
    values = {
        Order.NAME: last.key.name,
        Order.CREATED: last.created,
        Order.MODIFIED: last.modified,
        Order.STATUS: last.status,
    }
    return encode_token([_fingerprint(parameters), values[order], last.key.name])


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
        return json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, UnicodeError):
        return None
