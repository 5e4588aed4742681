"""A `Query` as SQL. Every bound that an index can use is written so that SQLite sees it."""

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


def select(columns: str, scope: int, query: Query) -> tuple[str, list[Any]]:
    """The statement and its values."""
    conditions, values = ["scope = ?"], [scope]
    for condition, value in (*_name_bounds(query), *_other_bounds(query)):
        conditions.append(condition)
        values += value
    column = query.order.value
    direction = "DESC" if query.descending else "ASC"
    order = (
        f"{column} {direction}" if query.order is Order.NAME else f"{column} {direction}, name {direction}"
    )
    index = _index(query)
    source = f"documents INDEXED BY {index}" if index else "documents"
    sql = f"SELECT {columns} FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order}"
    if query.limit is not None:
        sql += " LIMIT ?"
        values.append(max(0, query.limit))
    return sql, values


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
        bounds.append(
            ("instr(lower(name), lower(?)) > 0", [query.name_contains])
        )  # SQLite's lower() knows ASCII only.
    if query.after is not None:
        sign = "<" if query.descending else ">"
        if query.order is Order.NAME:
            bounds.append((f"name {sign} ?", [query.after[1]]))
        else:
            bounds.append((f"({query.order.value}, name) {sign} (?, ?)", list(query.after)))
    return bounds


def _other_bounds(query: Query) -> list[tuple[str, list[Any]]]:
    bounds: list[tuple[str, list[Any]]] = [
        (condition, [value]) for name, condition in _BOUNDS if (value := getattr(query, name)) is not None
    ]
    if query.owner:
        bounds.append(("owner <> ''", []))  # Opens the partial index.
    if query.active is not None:
        bounds.append(("active = 1" if query.active else "active = 0", []))
    return bounds
