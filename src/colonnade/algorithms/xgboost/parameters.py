"""From SageMaker's hyperparameters to those of the installed xgboost: what is the platform's own, renamed or retired."""

from __future__ import annotations

from typing import Any

import xgboost

from colonnade.algorithms.contract.hyperparameters import Values
from colonnade.algorithms.xgboost import scores

_RETIRED = {
    "sketch_eps": "approx now chooses its sketch by max_bin",
    "single_precision_histogram": "histograms have one precision now",
    "deterministic_histogram": "histograms are always deterministic now",
    "predictor": "the predictor follows the device now",
    "dsplit": "rows are always split now",
    "prob_buffer_row": "its updater grow_skmaker is gone",
}
_OURS = frozenset(
    [
        "num_round",
        "csv_weights",
        "early_stopping_rounds",
        "save_model_on_termination",
        "use_dask_gpu_training",
        "_kfold",
        "_num_cv_round",
        "_tuning_objective_metric",
        "eval_metric",
    ]
)


def of_library(values: Values, threads: int) -> dict[str, Any]:
    """What `xgboost.train` is given. Says in the log what it leaves out or renames."""
    for name, reason in _RETIRED.items():
        if name in values:
            print(f"Ignoring {name}: {reason} (xgboost {xgboost.__version__}).", flush=True)
    kept = {name: value for name, value in values.items() if name not in _OURS and name not in _RETIRED}
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


def metrics_asked(values: Values) -> list[str]:
    """eval_metric, and the tuning job's objective."""
    given = values.get("eval_metric", [])
    asked = list(given) if isinstance(given, list) else [str(given)]
    objective = tuned(values)
    return asked + [objective] * (objective != "" and objective not in asked)


def tuned(values: Values) -> str:
    """The metric of a tuning job's objective, without its stage; empty outside tuning."""
    return str(values.get("_tuning_objective_metric", "")).partition(":")[2]


def whole(values: Values, name: str, default: int = 0) -> int:
    """The value of an Integer hyperparameter."""
    value = values.get(name, default)
    assert isinstance(value, int), f"{name} was validated as an integer"
    return value
