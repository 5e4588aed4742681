"""Repeated k-fold cross-validation (`_kfold`, `_num_cv_round`): one model a fold, served together as an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xgboost

from colonnade.algorithms.contract import UserError
from colonnade.algorithms.contract.hyperparameters import Values

Evals = list[tuple[xgboost.DMatrix, str]]


def cross_validate(
    evals: Evals, values: Values, boost: Callable[[Evals], xgboost.Booster | None], model: Path
) -> None:
    """Train on all folds of the train channel and save `<model>-0`, `<model>-1`, ..."""
    from colonnade.algorithms.xgboost.training import save

    if len(evals) > 1:
        raise UserError("_kfold makes validation sets from channel 'train': leave out channel 'validation'.")
    data = evals[0][0]
    count, repeats = int(str(values["_kfold"])), int(str(values.get("_num_cv_round", 1)))
    if data.num_row() < count:
        raise UserError(f"_kfold is {count}, more than the {data.num_row()} rows of channel 'train'.")
    labels = data.get_label() if str(values.get("objective", "")).startswith(("binary:", "multi:")) else None
    generator = np.random.default_rng(int(str(values.get("seed", 0))))
    parts = [part for _ in range(repeats) for part in split(data.num_row(), count, generator, labels)]
    for number, (kept, held_out) in enumerate(parts):
        print(f"Fold {number + 1} of {len(parts)}", flush=True)
        booster = boost([(data.slice(kept), "train"), (data.slice(held_out), "validation")])
        if booster is None:
            return
        save(booster, model.with_name(f"{model.name}-{number}"))


def split(
    rows: int, count: int, generator: np.random.Generator, labels: npt.NDArray[np.float32] | None
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """(train rows, validation rows) of each fold; every class spread evenly over the folds when `labels` are given."""
    order = generator.permutation(rows)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    fold_of_row = np.empty(rows, dtype=np.int64)
    fold_of_row[order] = np.arange(rows) % count
    for fold in range(count):
        yield np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)
