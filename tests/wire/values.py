"""Random values of any shape, in our own terms: timestamps are epoch seconds, blobs bytes, absent members absent."""

from __future__ import annotations

import datetime
import math
import random
from typing import Any

PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789-_."
TRICKY = [
    *PLAIN,
    " ",
    "&",
    "<",
    ">",
    '"',
    "'",
    "é",
    "漢",
    "\n",
    "\r",
    "+",
    "%",
    "/",
    "=",
    ";",
    ",",
    "😀",
    "]]>",
]


class Values:
    """All members down to some depth, so that every codec is met; below it what is required and little else."""

    def __init__(self, seed: str, *, sparse: bool, letters: Any = TRICKY, milliseconds: bool = False) -> None:
        self.random = random.Random(seed)
        self.sparse = sparse
        self.letters = letters
        self.milliseconds = milliseconds

    def structure(self, shape: Any, depth: int = 0, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
        names = [name for name in shape.members if name not in skip]
        plain = [name for name in names if shape.members[name].type_name not in ("structure", "list", "map")]
        if shape.metadata.get("union"):
            chosen = self.random.choice((plain if depth > 7 else names) or names)
            return {chosen: self.of(shape.members[chosen], depth + 1)}
        likely = (0.5 if self.sparse else 1.0) if depth < 2 else 0.6 / depth
        names = [
            name
            for name in (plain if depth > 7 else names)
            if name in shape.required_members or self.random.random() < likely
        ]
        return {name: self.of(shape.members[name], depth + 1) for name in names}

    def of(self, shape: Any, depth: int) -> Any:
        if getattr(shape, "is_document_type", False):
            return {"a": [1, 2.5, "x", True], "b": {"c": "d"}}
        make = getattr(self, f"_{shape.type_name}", None)
        return make(shape, depth) if make else self._string(shape, depth)

    _structure = structure

    def _list(self, shape: Any, depth: int) -> list[Any]:
        count = self.random.choice([1, 2, 3]) if depth < 4 else 1
        if shape.serialization.get("location") in ("header", "querystring"):
            return [self._located(shape.member, shape.serialization["location"]) for _ in range(count)]
        return [self.of(shape.member, depth + 1) for _ in range(count)]

    def _map(self, shape: Any, depth: int) -> dict[str, Any]:
        keys = [self._text(PLAIN) + str(number) for number in range(self.random.choice([1, 2]))]
        if shape.key.enum:
            keys = [shape.key.enum[0]]
        if shape.serialization.get("location") == "querystring":
            listed = shape.value.type_name == "list"
            return {key: [self._text(PLAIN)] if listed else self._text(PLAIN) for key in keys}
        if shape.serialization.get("location") == "headers":
            return {key: self._text(PLAIN) for key in keys}
        return {key: self.of(shape.value, depth + 1) for key in keys}

    def _string(self, shape: Any, depth: int) -> Any:
        location = shape.serialization.get("location")
        if shape.serialization.get("jsonvalue") and location == "header":
            return {"a": [1, "b"]}
        if getattr(shape, "enum", None):
            return self.random.choice(shape.enum)
        return self._located(shape, location)

    def _located(self, shape: Any, location: str | None) -> Any:
        if shape.type_name != "string":
            return self.of(shape, 9)
        if getattr(shape, "enum", None):
            return self.random.choice(shape.enum)
        if shape.serialization.get("hostLabel"):
            return self._text("abc123")
        if location in ("header", "headers"):
            return self._text(PLAIN + " ,", edges=PLAIN)
        if location == "uri":
            return self._text([c for c in TRICKY if c not in "\n\r"], edges=PLAIN)
        return self._text(self.letters)

    def _text(self, letters: Any, edges: str = "") -> str:
        middle = "".join(self.random.choice(letters) for _ in range(self.random.randint(1, 12)))
        return f"{self.random.choice(edges)}{middle}{self.random.choice(edges)}" if edges else middle

    def _blob(self, shape: Any, depth: int) -> bytes:
        return self.random.randbytes(self.random.randint(1, 40))

    def _boolean(self, shape: Any, depth: int) -> bool:
        return self.random.random() < 0.5

    def _integer(self, shape: Any, depth: int) -> int:
        if shape.serialization.get("location") == "statusCode":
            return self.random.choice([200, 201, 202])
        return self.random.choice([0, 1, -1, 2**31 - 1, self.random.randint(-1000, 1000)])

    def _long(self, shape: Any, depth: int) -> int:
        return self.random.choice([0, 2**53, -(2**40), self.random.randint(-1000, 1000)])

    def _double(self, shape: Any, depth: int) -> float:
        return self.random.choice([0.0, 1.5, -2.25, 1e300, math.pi, float(self.random.randint(-9, 9))])

    def _float(self, shape: Any, depth: int) -> float:
        return self.random.choice([0.0, 1.5, -2.25])

    def _timestamp(self, shape: Any, depth: int) -> float:
        seconds = self.random.randint(0, 2_000_000_000)
        # RFC 822, as headers have it, knows seconds only.
        whole = shape.serialization.get("location") == "header" or not self.milliseconds
        if whole or shape.serialization.get("timestampFormat") == "rfc822":
            return float(seconds)
        return (seconds * 1000 + self.random.choice([0, 1, 250, 999])) / 1000


def without_empty_structures(value: Any) -> Any:
    """Forms cannot say that something is there and empty; only lists can be."""
    if isinstance(value, dict):
        kept = {name: without_empty_structures(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for item in (without_empty_structures(item) for item in value) if item not in ({}, [])]
    return value


def for_botocore(shape: Any, value: Any) -> Any:
    """The same value as a boto3 user would write it."""
    return _mapped(shape, value, lambda seconds: datetime.datetime.fromtimestamp(seconds, datetime.UTC))


def from_botocore(shape: Any, value: Any) -> Any:
    """What botocore parsed, in our own terms."""
    return _mapped(shape, value, lambda moment: moment.timestamp())


def _mapped(shape: Any, value: Any, convert: Any) -> Any:
    if getattr(shape, "is_document_type", False):
        return value
    if shape.type_name == "structure":
        return {
            name: _mapped(shape.members[name], item, convert)
            for name, item in value.items()
            if name in shape.members
        }
    if shape.type_name == "list":
        return [_mapped(shape.member, item, convert) for item in value]
    if shape.type_name == "map":
        return {key: _mapped(shape.value, item, convert) for key, item in value.items()}
    if shape.type_name == "timestamp":
        return convert(value)
    return value
