"""The part of JSONPath that batch transform's filters know.

`$`, `.name`, `.*`, `['a','b']`, `[0]`, `[-1]`, `[0,2]`, `[1:]`, `[0,5:]`, `[*]`. A slice's end is exclusive, as everywhere in
JSONPath. What names one place gives the value there, what names several gives a list of them, and several members of an object
give an object of these.
https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html#data-processing-operators

>>> parse("$[1:]").select([7, 8, 9]), parse("$[0,-1]").select([7, 8, 9]), parse("$[1]").select([7, 8, 9])
([8, 9], [7, 9], 8)
>>> parse("$['id','SageMakerOutput']").select({"id": 1, "x": 2, "SageMakerOutput": 3})
{'id': 1, 'SageMakerOutput': 3}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

_NAME = re.compile(r"\.([^.\[\]*'\"?()@]+)")
_NAMES = re.compile(r"\.?\[\s*(?:'[^']*'|\"[^\"]*\")(?:\s*,\s*(?:'[^']*'|\"[^\"]*\"))*\s*\]")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_PLACES = re.compile(r"\.?\[([-\d:,\s]+)\]")
_PLACE = re.compile(r"\s*(?:(-?\d+)|(-?\d+)?\s*:\s*(-?\d+)?)\s*")
_ALL = re.compile(r"\.\*|\.?\[\s*\*\s*\]")

Place: TypeAlias = "int | slice"


class PathError(ValueError):
    """An expression that is none, or that finds nothing where it must find something."""


@dataclass(frozen=True, slots=True)
class Names:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class All:
    """The wildcard."""


Step: TypeAlias = "Names | Places | All"


@dataclass(frozen=True, slots=True)
class Path:
    text: str
    steps: tuple[Step, ...]

    @property
    def is_root(self) -> bool:
        return not self.steps

    @property
    def is_positional(self) -> bool:
        """Whether a list of cells, which has no names, can be filtered by it."""
        return len(self.steps) <= 1 and not any(isinstance(step, Names) for step in self.steps)

    def select(self, value: Any) -> Any:
        """Raises PathError when what is named is not there. Slices take what there is."""
        found, one = [value], True
        for step in self.steps:
            found = [inner for outer in found for inner in self._step(step, outer)]
            one = one and _names_one(step)
        return found[0] if one else found

    def _step(self, step: Step, value: Any) -> Sequence[Any]:
        if isinstance(step, All):
            return list(value.values()) if isinstance(value, dict) else self._list(value)
        if isinstance(step, Places):
            return self._at(step, self._list(value))
        if not isinstance(value, dict):
            raise PathError(f"{self.text} looks for a member {step.names[0]!r} in what is no object")
        if len(step.names) > 1:
            return [{name: value[name] for name in step.names if name in value}]
        if step.names[0] not in value:
            raise PathError(f"{self.text} finds no member {step.names[0]!r}")
        return [value[step.names[0]]]

    def _list(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise PathError(f"{self.text} looks for places in what is no array")
        return value

    def _at(self, step: Places, value: list[Any]) -> list[Any]:
        found: list[Any] = []
        for place in step.places:
            if isinstance(place, slice):
                found += value[place]
            elif -len(value) <= place < len(value):
                found.append(value[place])
            else:
                raise PathError(f"{self.text} asks for index {place} of {len(value)} columns or elements")
        return found


def parse(text: str) -> Path:
    """Raises PathError."""
    if not text.startswith("$"):
        raise PathError(f"{text!r} must begin with $, the record itself")
    steps: list[Step] = []
    at = 1
    while at < len(text):
        if steps and isinstance(steps[-1], Names) and len(steps[-1].names) > 1:
            raise PathError(f"{text!r}: nothing can follow a choice of several members")
        step, at = _next_step(text, at)
        steps.append(step)
    return Path(text, tuple(steps))


def _next_step(text: str, at: int) -> tuple[Step, int]:
    if match := _NAME.match(text, at):
        return Names((match[1],)), match.end()
    if match := _ALL.match(text, at):
        return All(), match.end()
    if match := _NAMES.match(text, at):
        return Names(tuple(a or b for a, b in _QUOTED.findall(match[0]))), match.end()
    if match := _PLACES.match(text, at):
        return Places(tuple(_place(part, text) for part in match[1].split(","))), match.end()
    raise PathError(
        f"{text!r} is not understood from {text[at:]!r} on: "
        "want .name, ['name','name'], [0], [0,-1], [1:], [0:3] or *, one after the other"
    )


def _place(part: str, text: str) -> Place:
    match = _PLACE.fullmatch(part)
    if match is None:
        raise PathError(f"{text!r}: {part.strip()!r} is no index or slice")
    if match[1] is not None:
        return int(match[1])
    first, end = (None if bound is None else int(bound) for bound in (match[2], match[3]))
    return slice(first, end)


def _names_one(step: Step) -> bool:
    """Several members come as one object."""
    if isinstance(step, Places):
        return len(step.places) == 1 and isinstance(step.places[0], int)
    return isinstance(step, Names)
