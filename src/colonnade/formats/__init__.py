"""Bytes to numbers and back, one file per data format that SageMaker's algorithms and endpoints speak.

Called by algorithms (training files), serving (request bodies) and jobs (batch transform). numpy and msgspec only, so
that the process answering requests stays small. The one idea: the good path parses in C and knows nothing of lines;
only when it fails is the input walked again, line by line, to name the place, the value and the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float32]
Matrix: TypeAlias = npt.NDArray[np.float32]


class FormatError(ValueError):
    """Input that is not what its content type says. The text names file, line, value and what would be right."""

    def __init__(
        self, problem: str, *, source: str = "", line: int | None = None, column: int | None = None
    ) -> None:
        place = [source] if source else []
        place += [f"line {line}"] if line is not None else []
        place += [f"column {column}"] if column is not None else []
        super().__init__(f"{', '.join(place)}: {problem}" if place else problem)
        self.source = source
        self.line = line
        self.column = column


class TooLongError(FormatError):
    """A record of a stream that is longer than its reader allows."""


@dataclass(frozen=True)
class Sparse:
    """A matrix in compressed rows. An entry that is not there is *missing*, not zero, as XGBoost reads it."""

    starts: npt.NDArray[np.int64]
    """Row i holds entries starts[i] to starts[i + 1]."""
    columns: npt.NDArray[np.int64]
    values: Vector
    width: int
    """Number of columns; at least the highest one named plus one."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def dense(self, width: int | None = None) -> Matrix:
        """Every missing entry as NaN. Ask for a `width` to have the columns that no row named."""
        matrix = np.full((len(self), max(self.width, width or 0)), np.nan, dtype=np.float32)
        matrix[np.repeat(np.arange(len(self)), np.diff(self.starts)), self.columns] = self.values
        return matrix


@dataclass(frozen=True)
class Examples:
    """What a training file holds. Rows of all parts correspond."""

    features: Matrix | Sparse
    labels: Matrix | None = None
    """(rows, label_size); None where the data carries no label."""
    weights: Vector | None = None
    queries: npt.NDArray[np.int64] | None = None
    """Query id of each row, for ranking."""

    def __len__(self) -> int:
        return len(self.features)
