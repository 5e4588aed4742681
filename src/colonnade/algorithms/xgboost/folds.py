"""Repeated k-fold cross-validation (`_kfold`, `_num_cv_round`): one model a fold, served together as an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xgboost

from colonnade.algorithms.contract import UserError
from colonnade.algorithms.contract.hyperparameters import Values
from colonnade.algorithms.xgboost import models
from colonnade.algorithms.xgboost.parameters import whole

Evals = list[tuple[xgboost.DMatrix, str]]
History = dict[str, dict[str, list[float]]]
"""Stage -> metric -> its value in each round."""


def cross_validate(
    evals: Evals, values: Values, boost: Callable[[Evals, History], xgboost.Booster | None], model: Path
) -> None:
    """Train on all folds of the train channel and save `<model>-0`, `<model>-1`, ..."""
    if len(evals) > 1:
        raise UserError("_kfold makes validation sets from channel 'train': leave out channel 'validation'.")
    data = evals[0][0]
    count, repeats = whole(values, "_kfold"), whole(values, "_num_cv_round", 1)
    if data.num_row() < count:
        raise UserError(f"_kfold is {count}, more than the {data.num_row()} rows of channel 'train'.")
    labels = data.get_label() if str(values.get("objective", "")).startswith(("binary:", "multi:")) else None
    generator = np.random.default_rng(abs(whole(values, "seed")))
    parts = [part for _ in range(repeats) for part in split(data.num_row(), count, generator, labels)]
    histories: list[History] = []
    for number, (kept, held_out) in enumerate(parts):
        print(f"Fold {number + 1} of {len(parts)}", flush=True)
        histories.append({})
        booster = boost([(data.slice(kept), "train"), (data.slice(held_out), "validation")], histories[-1])
        if booster is None:
            return
        models.save(booster, model.with_name(f"{model.name}-{number}"))
    print(f"Mean over {len(parts)} folds\n{_mean(histories, whole(values, 'num_round'))}", flush=True)


def _mean(histories: list[History], rounds: int) -> str:
    """A log line like any round's, so that the job's metrics end as the mean over the folds."""
    values = [
        f"{stage}-{name}:{np.mean([history[stage][name][-1] for history in histories]):.5f}"
        for stage, metrics in histories[0].items()
        for name in metrics
    ]
    return "\t".join([f"[{rounds}]", *values])


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
