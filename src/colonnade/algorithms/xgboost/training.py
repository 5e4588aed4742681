"""One XGBoost training run, from a job's folder to `model/xgboost-model`. The only file of the platform that trains with xgboost.

Log lines are SageMaker's, since metric definitions read them: `[0]<TAB>train-auc:0.1<TAB>validation-auc:0.2`.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from colonnade.algorithms import xgboost as published
from colonnade.algorithms.contract import UserError, examples
from colonnade.algorithms.contract.hyperparameters import Values
from colonnade.algorithms.contract.job import Job
from colonnade.algorithms.xgboost import folds, models, scores
from colonnade.algorithms.xgboost.checkpoints import SaveCheckpoints, latest
from colonnade.formats import Examples, Sparse

MODEL = models.NAME
_RETIRED = {
    "sketch_eps": "approx now chooses its sketch by max_bin",
    "single_precision_histogram": "histograms have one precision now",
    "deterministic_histogram": "histograms are always deterministic now",
    "predictor": "the predictor follows the device now",
    "dsplit": "rows are always split now",
    "prob_buffer_row": "its updater grow_skmaker is gone",
}
_OURS = (
    *(
        "num_round",
        "csv_weights",
        "early_stopping_rounds",
        "save_model_on_termination",
        "use_dask_gpu_training",
    ),
    *("_kfold", "_num_cv_round", "_tuning_objective_metric", "eval_metric"),
)
_USERS_FAULTS = (
    *(
        "label",
        "base_score",
        "num_class",
        "constraint",
        "feature",
        "inf",
        "nan",
        "parameter",
        "objective",
        "updater",
    ),
    *("metric", "group", "weight", "booster", "exceed bound", "process_type"),
)


def train(job: Job) -> None:
    print(f"Training with xgboost {xgboost.__version__}", flush=True)
    job.saves_on_termination = job.values.get("save_model_on_termination") == "true"
    try:
        _train(job)
    except xgboost.core.XGBoostError as error:
        text = _plain(error)
        if any(word in text.lower() for word in _USERS_FAULTS):
            raise UserError(text) from error
        raise


def _train(job: Job) -> None:
    values = job.values
    threads = int(str(values.get("nthread") or len(os.sched_getaffinity(0))))
    parameters = _parameters(values, threads)
    evals = [(_matrix(job, "train", threads), "train")]
    if "validation" in job.channels:
        evals.append((_matrix(job, "validation", threads), "validation"))
    print(
        ", ".join(f"{name}: {data.num_row()} rows x {data.num_col()} features" for data, name in evals),
        flush=True,
    )
    if "_kfold" in values:
        folds.cross_validate(
            evals, values, lambda parts: _boost(job, parameters, parts), job.folder.model / MODEL
        )
        return
    booster = _boost(job, parameters, evals)
    if booster is not None:
        save(booster, job.folder.model / MODEL)


def _boost(
    job: Job, parameters: dict[str, Any], evals: list[tuple[xgboost.DMatrix, str]]
) -> xgboost.Booster | None:
    """The trained model; None when the job was ended before there was one."""
    checkpoints = job.folder.checkpoints() if "_kfold" not in job.values else None
    start, done = latest(checkpoints)
    if start is None and "model" in job.channels:
        start = _earlier_model(job.folder.data("model"))
    rounds = int(str(job.values["num_round"])) - done
    if rounds <= 0 or job.terminating.is_set():
        return start
    callbacks: list[xgboost.callback.TrainingCallback] = [_Log(done)]
    if checkpoints is not None:
        callbacks.append(SaveCheckpoints(checkpoints, done))
    if job.saves_on_termination:
        callbacks.append(_EndWhenTold(job))
    if "early_stopping_rounds" in job.values:
        callbacks.append(_early_stopping(job.values, evals[-1][1]))
    return xgboost.train(
        parameters,
        evals[0][0],
        num_boost_round=rounds,
        evals=evals,
        custom_metric=_container_metrics(job.values),
        callbacks=callbacks,
        xgb_model=start,
        verbose_eval=False,
    )


def save(booster: xgboost.Booster, path: Path) -> None:
    """All or nothing: whoever finds the file finds a whole model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(booster.save_raw("ubj"))
    temporary.replace(path)


def metrics_asked(values: Values) -> list[str]:
    """eval_metric, and the tuning job's objective."""
    given = values.get("eval_metric", [])
    asked = list(given) if isinstance(given, list) else [str(given)]
    tuned = str(values.get("_tuning_objective_metric", "")).partition(":")[2]
    return asked + [tuned] * (tuned != "" and tuned not in asked)


def _parameters(values: Values, threads: int) -> dict[str, Any]:
    for name, reason in _RETIRED.items():
        if name in values:
            print(f"Ignoring {name}: {reason} (xgboost {xgboost.__version__}).", flush=True)
    kept = {name: value for name, value in values.items() if name not in (*_OURS, *_RETIRED)}
    if kept.get("objective") == "reg:linear":
        print("Using reg:squarederror for reg:linear, its name since xgboost 0.90.", flush=True)
        kept["objective"] = "reg:squarederror"
    if isinstance(updaters := kept.get("updater"), list):
        kept["updater"] = ",".join(updaters)
    own = [
        name
        for name in metrics_asked(values)
        if name not in scores.OF_LABELS and name not in scores.OF_VALUES
    ]
    return {**kept, "nthread": threads, **({"eval_metric": own} if own else {})}


def _matrix(job: Job, channel: str, threads: int) -> xgboost.DMatrix:
    weighted = job.values.get("csv_weights") == 1
    data = examples.read(
        job.folder, channel, job.channels[channel], default="text/libsvm", csv_weights=weighted
    )
    if data.labels is None or data.labels.shape[1] != 1:
        raise UserError(f"Channel '{channel}' needs one label a row: put it first, with label_size=1.")
    _check_labels(data.labels[:, 0], job.values, channel)
    matrix = xgboost.DMatrix(
        _library_form(data), label=data.labels[:, 0], weight=data.weights, nthread=threads
    )
    if data.queries is not None:
        matrix.set_info(qid=data.queries)
    if job.values.get("objective") == "survival:aft":
        # The container's formats carry one label: a time that was observed, not censored.
        matrix.set_float_info("label_lower_bound", data.labels[:, 0])
        matrix.set_float_info("label_upper_bound", data.labels[:, 0])
    return matrix


def _check_labels(labels: npt.NDArray[np.float32], values: Values, channel: str) -> None:
    """The library's own message for a wrong label speaks of base_score, which nobody set."""
    objective = str(values.get("objective", ""))
    if objective.startswith("multi:"):
        count = int(str(values["num_class"]))
        wrong, wanted = (
            (labels % 1 != 0) | (labels < 0) | (labels >= count),
            f"a whole number in [0, {count})",
        )
    elif objective in ("binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic"):
        wrong, wanted = ~((labels >= 0) & (labels <= 1)), "in [0,1]"
    else:
        wrong, wanted = ~np.isfinite(labels), "a finite number"
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"Channel '{channel}', row {row + 1}: label must be {wanted} for {objective or 'regression'}, "
            f"and is {labels[row]:g}. The label is the first column."
        )


def _library_form(data: Examples) -> Any:
    if not isinstance(data.features, Sparse):
        return data.features
    from scipy.sparse import csr_matrix

    part = data.features
    return csr_matrix((part.values, part.columns, part.starts), shape=(len(part), part.width))


def _earlier_model(folder: Path) -> xgboost.Booster:
    """The model of an earlier job, for incremental training: its model.tar.gz, or that unpacked."""
    plain, archive = folder / MODEL, folder / "model.tar.gz"
    if plain.is_file():
        raw = plain.read_bytes()
    elif archive.is_file():
        with tarfile.open(archive) as members:
            held = next((m for m in members if m.isfile() and Path(m.name).name == MODEL), None)
            found = members.extractfile(held) if held else None
            if found is None:
                raise UserError(f"Channel 'model': model.tar.gz holds no {MODEL}.")
            raw = found.read()
    else:
        raise UserError(f"Channel 'model' holds neither model.tar.gz nor {MODEL}.")
    print("Continuing the model of channel 'model'", flush=True)
    try:
        return models.read(raw, f"Channel 'model': {MODEL}")
    except models.NotAModelError as error:
        raise UserError(str(error)) from error


def _early_stopping(values: Values, watched: str) -> xgboost.callback.EarlyStopping:
    asked = metrics_asked(values)
    tuned = str(values.get("_tuning_objective_metric", "")).partition(":")[2]
    metric = tuned or (asked[-1] if asked else None)
    return xgboost.callback.EarlyStopping(
        rounds=int(str(values["early_stopping_rounds"])),
        data_name=watched,
        metric_name=metric,
        maximize=metric.partition("@")[0] in published.MAXIMIZED if metric else None,
        save_best=values.get("booster") != "gblinear",
    )


def _container_metrics(values: Values) -> Callable[[Any, xgboost.DMatrix], list[tuple[str, float]]] | None:
    wanted = [name for name in metrics_asked(values) if name in scores.OF_LABELS or name in scores.OF_VALUES]
    objective = str(values.get("objective", ""))

    def evaluate(predictions: Any, data: xgboost.DMatrix) -> list[tuple[str, float]]:
        truth = data.get_label().astype(np.float64)
        found = scores.labels(predictions, objective)
        return [
            (
                name,
                scores.OF_LABELS[name](truth, found)
                if name in scores.OF_LABELS
                else scores.OF_VALUES[name](truth, predictions),
            )
            for name in wanted
        ]

    return evaluate if wanted else None


def _plain(error: Exception) -> str:
    """The sentence in the library's message, without its place in C++ and its stack."""
    text = str(error).partition("Stack trace")[0].strip().splitlines()
    return text[0].rpartition(".cc:")[2].partition(": ")[2] or text[0] if text else type(error).__name__


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
