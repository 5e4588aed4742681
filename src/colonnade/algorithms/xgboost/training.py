"""One XGBoost training run, from a job's folder to `model/xgboost-model`.

Log lines are SageMaker's, since metric definitions read them: `[0]<TAB>train-auc:0.1<TAB>validation-auc:0.2`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from colonnade.algorithms import xgboost as published
from colonnade.algorithms.contract import UserError
from colonnade.algorithms.contract.hyperparameters import Values
from colonnade.algorithms.contract.job import Job
from colonnade.algorithms.xgboost import folds, matrices, models, parameters, scores
from colonnade.algorithms.xgboost.checkpoints import SaveCheckpoints, latest
from colonnade.algorithms.xgboost.parameters import whole

STAGES = ("train", "validation")

_USERS_FAULTS = (
    *(
        "label",
        "base_score",
        "num_class",
        "constraint",
        "feature",
        "contains `inf`",
        "nan, infinity",
        "parameter",
    ),
    *("objective", "updater", "metric", "group", "weight", "booster", "exceed bound", "process_type"),
)
"""The library has one error for all; its message tells whose data or value it is about."""


def train(job: Job) -> None:
    print(f"Training with xgboost {xgboost.__version__}", flush=True)
    job.saves_on_termination = job.values.get("save_model_on_termination") == "true"
    try:
        _train(job)
    except xgboost.core.XGBoostError as error:
        text = models.sentence(error)
        if any(word in text.lower() for word in _USERS_FAULTS):
            raise UserError(text) from error
        raise


def _train(job: Job) -> None:
    threads = whole(job.values, "nthread", len(os.sched_getaffinity(0)))
    library = parameters.of_library(job.values, threads)
    evals = [(matrices.of_channel(job, name, threads), name) for name in STAGES if name in job.channels]
    for data, name in evals:
        print(f"{name}: {data.num_row()} rows x {data.num_col()} features", flush=True)
    model = job.folder.model / models.NAME
    if "_kfold" in job.values:
        folds.cross_validate(evals, job.values, partial(_boost, job, library), model)
        return
    booster = _boost(job, library, evals, {})
    if booster is not None:
        models.save(booster, model)


def _boost(
    job: Job, library: dict[str, Any], evals: list[tuple[xgboost.DMatrix, str]], history: dict[str, Any]
) -> xgboost.Booster | None:
    """The trained model, its metrics left in `history`; None when the job was ended before there was one."""
    checkpoints = job.folder.checkpoints() if "_kfold" not in job.values else None
    start, done = latest(checkpoints)
    if start is None and "model" in job.channels:
        start = models.earlier(job.folder.data("model"))
    rounds = whole(job.values, "num_round") - done
    if rounds <= 0 or job.terminating.is_set():
        return start
    return xgboost.train(
        library,
        evals[0][0],
        num_boost_round=rounds,
        evals=evals,
        evals_result=history,
        custom_metric=_container_metrics(job.values),
        callbacks=_callbacks(job, checkpoints, done, evals[-1][1]),
        xgb_model=start,
        verbose_eval=False,
    )


def _callbacks(
    job: Job, checkpoints: Path | None, done: int, watched: str
) -> list[xgboost.callback.TrainingCallback]:
    callbacks: list[xgboost.callback.TrainingCallback] = [_Log(done)]
    if checkpoints is not None:
        callbacks.append(SaveCheckpoints(checkpoints, done))
    if job.saves_on_termination:
        callbacks.append(_EndWhenTold(job))
    if "early_stopping_rounds" in job.values:
        callbacks.append(_early_stopping(job.values, watched))
    return callbacks


def _early_stopping(values: Values, watched: str) -> xgboost.callback.EarlyStopping:
    asked = parameters.metrics_asked(values)
    metric = parameters.tuned(values) or (asked[-1] if asked else None)
    return xgboost.callback.EarlyStopping(
        rounds=whole(values, "early_stopping_rounds"),
        data_name=watched,
        metric_name=metric,
        maximize=metric.partition("@")[0] in published.MAXIMIZED if metric else None,
        save_best=values.get("booster") != "gblinear",
    )


def _container_metrics(values: Values) -> Callable[[Any, xgboost.DMatrix], scores.Named] | None:
    wanted = scores.asked_of_us(parameters.metrics_asked(values))
    objective = str(values.get("objective", ""))

    def evaluate(predictions: Any, data: xgboost.DMatrix) -> scores.Named:
        return scores.evaluate(wanted, predictions, data.get_label().astype(np.float64), objective)

    return evaluate if wanted else None


class _Log(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    def __init__(self, done: int) -> None:
        super().__init__()
        self._done = done

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        values = [
            f"{stage}-{name}:{history[-1]:.5f}"
            for stage, metrics in evals_log.items()
            for name, history in metrics.items()
        ]
        print("\t".join([f"[{self._done + epoch}]", *values]), flush=True)
        return False


class _EndWhenTold(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    """SIGTERM with save_model_on_termination: finish this round, then end as if it were the last."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        return self._job.terminating.is_set()
