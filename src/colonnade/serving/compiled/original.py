"""A model as its own library answers it, what the check batch is made of, and the ways to ONNX that are tried in turn.

One file beside this one makes an `Original` of each library's models (`boosters` for XGBoost, `estimators` for scikit-learn,
`light_boosters` for LightGBM); `compile` proves what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.floating[Any]]


class Differs(Exception):  # noqa: N818 - a verdict on the conversion, no fault
    """There is no conversion, or the converted model does not answer as the original. The text says which."""


@dataclass(frozen=True)
class Graph:
    """One conversion."""

    model: bytes
    output: str
    """Name of the output that holds the answers."""
    column: int | None = None
    """Of that output; None for all of them."""
    dtype: str = "float32"
    """Of the rows that it takes."""


@dataclass(frozen=True)
class Original:
    library: str
    """For the texts: XGBoost, scikit-learn, LightGBM."""
    facts: Mapping[str, Any]
    """What the contract needs to know; goes into compiled.json."""
    predict: Callable[[Rows], npt.NDArray[Any]]
    columns: Callable[[], Sequence[npt.NDArray[np.float64]]]
    """For each feature the values worth trying, NaN for missing. Raises Differs."""
    graphs: Sequence[Callable[[], Graph]]
    """The first that answers the same is served. Each raises Differs."""
    dtypes: Sequence[str] = field(default=("float32",))
    """In which the original is asked: those in which requests may come."""
