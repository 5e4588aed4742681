"""Hyperparameters as data, and the one validation that serves every algorithm.

The texts are those of SageMaker's own algorithm toolkit: users search for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from colonnade.algorithms.contract import UserError

Value: TypeAlias = int | float | str | list[str]
Values: TypeAlias = Mapping[str, Value]


class Type(StrEnum):
    """As in AWS's HyperParameterSpecification."""

    INTEGER = "Integer"
    CONTINUOUS = "Continuous"
    CATEGORICAL = "Categorical"
    FREE_TEXT = "FreeText"


@dataclass(frozen=True)
class Interval:
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        left = "(" if self.open_low or self.low == -math.inf else "["
        right = ")" if self.open_high or self.high == math.inf else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class Hyperparameter:
    name: str
    type: Type
    range: Interval | tuple[str, ...] | None = None
    default: str | None = None
    """What the algorithm does when it is not given; None where that depends on other values."""
    required: bool = False
    aliases: tuple[str, ...] = ()
    tunable: Interval | None = None
    """The range recommended for tuning; None when it cannot be tuned."""
    separator: str | None = None
    """Set when the value is a list; each item must be in `range`."""
    accepts: Callable[[str], bool] | None = None
    """For values that no range describes, such as `error@0.7`."""
    form: str = ""
    """What `accepts` wants, for people."""

    def parse(self, text: str) -> Value:
        try:
            value = self._parsed(text.strip())
        except ValueError:
            raise UserError(f"Hyperparameter {self.name}: could not parse value '{text}'") from None
        for item in value if isinstance(value, list) else [value]:
            if not self._allows(item):
                raise UserError(f"Hyperparameter {self.name}: {item} is not in {self.described_range()}")
        return value

    def described_range(self) -> str:
        listed = f"[{', '.join(self.range)}]" if isinstance(self.range, tuple) and self.range else ""
        return " or ".join(filter(None, (listed, self.form))) or str(self.range)

    def _parsed(self, text: str) -> Value:
        if self.type is Type.INTEGER:
            return int(text)
        if self.type is Type.CONTINUOUS:
            number = float(text)
            if not math.isfinite(number):
                raise ValueError
            return number
        # The SageMaker SDK JSON-encodes strings on some of its ways.
        text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
        return text if self.separator is None else [item.strip() for item in text.split(self.separator)]

    def _allows(self, item: int | float | str) -> bool:
        if isinstance(item, str):
            listed = not isinstance(self.range, tuple) or item in self.range
            return listed or (self.accepts is not None and self.accepts(item))
        return not isinstance(self.range, Interval) or item in self.range


def validate(table: tuple[Hyperparameter, ...], given: Mapping[str, str]) -> dict[str, Value]:
    """The values given, parsed, under their proper names; defaults are left to the algorithm's library.

    Names beginning `sagemaker_` belong to the platform and are dropped, as SageMaker does.
    """
    by_name = {name: row for row in table for name in (row.name, *row.aliases)}
    values: dict[str, Value] = {}
    for name, text in given.items():
        if name.startswith("sagemaker_"):
            continue
        if name not in by_name:
            raise UserError(f"Extraneous hyperparameter found: {name}")
        row = by_name[name]
        if row.name in values:
            raise UserError(
                f"Hyperparameter {row.name}: given twice, also as {' or '.join(row.aliases)}. Keep one."
            )
        values[row.name] = row.parse(text)
    for row in table:
        if row.required and row.name not in values:
            raise UserError(f"Missing required hyperparameter: {row.name}")
    return values
