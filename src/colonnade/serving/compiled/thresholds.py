"""A check batch made from a model's own split thresholds, since that is where two implementations of a tree part ways.

For every split value t of a feature the batch holds the float32 just below t, t itself, and the one just above; every
feature is also missing in some rows. Columns cycle through their values in shuffled order, so that each value of each
feature occurs and the combinations are random; the seed is fixed, so that a verdict can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt
import xgboost

from colonnade.formats import Matrix, Vector

_SEED = 20150401
_ROUNDS = 4
_LEAST_ROWS = 8192
_CELLS_AT_ONCE = 8_000_000


class CategoricalSplits(ValueError):  # noqa: N818 - a finding about the model, no fault
    """Splits on sets of categories have no thresholds."""


def candidates(booster: xgboost.Booster) -> list[Vector]:
    """For each feature, the values worth trying, NaN (missing) among them."""
    found: list[list[npt.NDArray[np.float32]]] = [[] for _ in range(booster.num_features())]
    for tree in _trees(booster):
        if any(tree.get("split_type", ())):
            raise CategoricalSplits("the model splits on categories")
        inner = np.array(tree["left_children"]) != -1
        indices = np.array(tree["split_indices"])[inner]
        conditions = np.array(tree["split_conditions"], dtype=np.float32)[inner]
        for index in np.unique(indices):
            found[index].append(conditions[indices == index])
    return [
        _around(np.unique(np.concatenate(parts)) if parts else np.zeros(1, np.float32)) for parts in found
    ]


def batches(values: list[Vector]) -> Iterator[Matrix]:
    """The check batch, in pieces that fit memory."""
    random = np.random.default_rng(_SEED)
    rows = max(_LEAST_ROWS, _ROUNDS * max(len(column) for column in values))
    # Each column is a row of shuffled decks of its own values; the first deck alone has dealt every one of them.
    columns = [
        np.concatenate([random.permutation(column) for _ in range(-(-rows // len(column)))])[:rows]
        for column in values
    ]
    step = max(1, _CELLS_AT_ONCE // len(values))
    for start in range(0, rows, step):
        yield np.column_stack([column[start : start + step] for column in columns])


def _around(thresholds: Vector) -> Vector:
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


def _trees(booster: xgboost.Booster) -> list[dict[str, list[float]]]:
    model = msgspec.json.decode(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    model = model.get("gbtree", model)
    trees: list[dict[str, list[float]]] = model.get("model", {}).get("trees", [])
    return trees
