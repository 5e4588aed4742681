"""A `Query` as SQL. Every bound that an index can use is written so that SQLite sees it.

Where a filter drops rows, an index that holds all that is asked about is looked through first, and only the rows that are
left are read whole: of a hundred thousand documents, names and instants are a few megabytes.
"""

from __future__ import annotations

from typing import Any

from colonnade.kernel.store import Order, Query
from colonnade.kernel.store.names import end_of_prefix

_BOUNDS = (
    ("created_after", "created > ?"),
    ("created_before", "created < ?"),
    ("modified_after", "modified > ?"),
    ("modified_before", "modified < ?"),
    ("status", "status = ?"),
    ("owner", "owner = ?"),
)
_LONGEST_LIKE = 1000
"""Characters; SQLite refuses patterns of 50,000 bytes."""


def select(columns: str, scope: int, query: Query) -> tuple[str, list[Any]]:
    """The statement and its values."""
    conditions, values = ["scope = ?"], [scope]
    for condition, value in (*_name_bounds(query), *_other_bounds(query)):
        conditions.append(condition)
        values += value
    limit = ""
    if query.limit is not None:
        limit = " LIMIT ?"
        values.append(max(0, query.limit))
    order = f"ORDER BY {_order(query)}{limit}"
    where = f"WHERE {' AND '.join(conditions)}"
    if _sifts(query):
        found = f"SELECT name FROM documents INDEXED BY {_covering(query)} {where} {order}"
        return (
            f"SELECT {columns} FROM ({found}) CROSS JOIN documents USING (name) WHERE scope = ? ORDER BY {_order(query)}",
            [*values, scope],
        )
    index = _index(query)
    source = f"documents INDEXED BY {index}" if index else "documents"
    return f"SELECT {columns} FROM {source} {where} {order}", values


def _order(query: Query) -> str:
    direction = "DESC" if query.descending else "ASC"
    by_name = f"name {direction}"
    return by_name if query.order is Order.NAME else f"{query.order.value} {direction}, {by_name}"


def _sifts(query: Query) -> bool:
    """Whether a page of rows is chosen by what the covering indexes hold, beyond what the order's own index bounds."""
    if query.limit is None or query.owner is not None or query.active is not None:
        return False
    if query.order is not Order.NAME and (query.name_prefix or query.name_from):
        return True
    bounded = {name.partition("_")[0] for name, _ in _BOUNDS if getattr(query, name) is not None}
    return bool(query.name_contains or bounded - {query.order.value})


def _covering(query: Query) -> str:
    """The index in the query's order. Names are in order within each status only: of those left, the first are sorted out."""
    return "documents_by_status" if query.order is Order.NAME else f"documents_by_{query.order.value}"


def _index(query: Query) -> str:
    """SQLite would have to guess, knowing no statistics. Empty: the primary key, which is by name.

    Few rows share an owner or are active, so those are worth sorting; a page of the newest among very many is not.
    """
    if query.owner:
        return "documents_by_owner"
    if query.active:
        return "documents_active"
    if query.order is Order.NAME:
        return "documents_by_status" if query.status and not query.name_prefix else ""
    return f"documents_by_{query.order.value}"


def _name_bounds(query: Query) -> list[tuple[str, list[Any]]]:
    bounds: list[tuple[str, list[Any]]] = []
    if query.name_prefix:
        bounds.append(("name >= ?", [query.name_prefix]))
        if end := end_of_prefix(query.name_prefix):
            bounds.append(("name < ?", [end]))
    if query.name_from:
        bounds.append(("name >= ?", [query.name_from]))
    if query.name_contains:
        bounds.append(_contains(query.name_contains))
    if query.after is not None:
        sign = "<" if query.descending else ">"
        if query.order is Order.NAME:
            bounds.append((f"name {sign} ?", [query.after[1]]))
        else:
            bounds.append((f"({query.order.value}, name) {sign} (?, ?)", list(query.after)))
    return bounds


def _contains(text: str) -> tuple[str, list[Any]]:
    """LIKE copies nothing, and takes half the time. Both it and lower() know ASCII only."""
    if "\0" in text or len(text) > _LONGEST_LIKE:
        return "instr(lower(name), lower(?)) > 0", [text]
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return "name LIKE ? ESCAPE '\\'", [f"%{text}%"]


def _other_bounds(query: Query) -> list[tuple[str, list[Any]]]:
    bounds: list[tuple[str, list[Any]]] = [
        (condition, [value]) for name, condition in _BOUNDS if (value := getattr(query, name)) is not None
    ]
    if query.owner:
        bounds.append(("owner <> ''", []))  # Opens the partial index.
    if query.active is not None:
        bounds.append(("active = 1" if query.active else "active = 0", []))
    return bounds
