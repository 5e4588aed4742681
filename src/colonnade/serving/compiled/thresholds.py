"""A check batch made from a model's own split thresholds, since that is where two implementations of a tree part ways.

For every split value t of a feature the batch holds the float32 just below t, t itself, and the one just above; every
feature is also missing in some rows. Columns cycle through their values in shuffled order, so that each value of each
feature occurs and the combinations are random; the seed is fixed, so that a verdict can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from colonnade.formats import Vector
from colonnade.serving.compiled.original import Rows

SEED = 20150401
_ROUNDS = 4
_LEAST_ROWS = 8192
_CELLS_AT_ONCE = 8_000_000


def batches(values: Sequence[npt.NDArray[Any]]) -> Iterator[Rows]:
    """The check batch, in pieces that fit memory."""
    random = np.random.default_rng(SEED)
    rows = max(_LEAST_ROWS, _ROUNDS * max(len(column) for column in values))
    # Each column is a row of shuffled decks of its own values; the first deck alone has dealt every one of them.
    columns = [
        np.concatenate([random.permutation(column) for _ in range(-(-rows // len(column)))])[:rows]
        for column in values
    ]
    step = max(1, _CELLS_AT_ONCE // len(values))
    for start in range(0, rows, step):
        yield np.column_stack([column[start : start + step] for column in columns])


def around(thresholds: npt.NDArray[np.float64], *, missing: bool, infinite: bool) -> npt.NDArray[np.float64]:
    """For libraries that compare 64-bit numbers: the neighbours in both widths, since requests carry either."""
    # A split that only parts missing values from all others has an infinite threshold.
    exact = np.unique(thresholds[np.abs(thresholds) < np.finfo(np.float32).max])
    rounded = exact.astype(np.float32)
    low, high = np.float32(-np.inf), np.float32(np.inf)
    near = np.concatenate(
        (
            *(exact, np.nextafter(exact, -np.inf), np.nextafter(exact, np.inf)),
            *(rounded, np.nextafter(rounded, low), np.nextafter(rounded, high)),
            *(exact[:1] - 1, exact[-1:] + 1),
        )
    )
    extra = ([np.nan] if missing else []) + ([-np.inf, np.inf] if infinite else [])
    return np.append(np.unique(near[np.isfinite(near)]), extra)


def around_32(thresholds: Vector) -> Vector:
    """For XGBoost, to which everything is a 32-bit number."""
    low, high = np.float32(-np.inf), np.float32(np.inf)
    near = np.concatenate(
        (
            np.nextafter(thresholds, low),
            thresholds,
            np.nextafter(thresholds, high),
            thresholds[:1] - 1,
            thresholds[-1:] + 1,
        )
    )
    return np.append(near[np.isfinite(near)], np.float32(np.nan)).astype(np.float32)
