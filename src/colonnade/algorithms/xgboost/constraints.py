"""What XGBoost's hyperparameters must be beyond a range: shapes of a few texts, and values that depend on each other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from colonnade.algorithms.contract import UserError
from colonnade.algorithms.contract.hyperparameters import Values

_THRESHOLDED = re.compile(r"(error|ndcg|map)@\s*[-+]?(\d+\.?\d*|\.\d+)-?")
_MONOTONE = re.compile(r"[(\[]\s*(-1|0|1)(\s*,\s*(-1|0|1))*\s*,?\s*[)\]]")


def is_thresholded(text: str) -> bool:
    """A metric with a threshold or cut-off: `error@0.7`, `ndcg@5`."""
    return _THRESHOLDED.fullmatch(text) is not None


def is_monotone(text: str) -> bool:
    """`(1,0,-1)`: one sign a feature."""
    return _MONOTONE.fullmatch(text) is not None


def is_interaction(text: str) -> bool:
    """`[[0,1],[2,3]]`: groups of feature numbers that may interact."""
    try:
        groups = json.loads(text)
    except ValueError:
        return False
    return isinstance(groups, list) and all(
        isinstance(group, list) and all(type(feature) is int and feature >= 0 for feature in group)
        for group in groups
    )


def names_metric(known: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a text is `validation:auc` or its like."""
    return lambda text: text.partition(":")[2] in known or is_thresholded(text.partition(":")[2])


def check(values: Values) -> None:
    objective = str(values.get("objective", "reg:squarederror"))
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in values:
        raise UserError("Require input for parameter 'num_class' for multi-classification")
    _check_metrics(values, objective)
    _check_tree_method(values)
    if values.get("use_dask_gpu_training") == "true":
        raise UserError(
            "use_dask_gpu_training needs GPUs and Dask, which are not implemented. Set it to false."
        )
    if "_num_cv_round" in values and "_kfold" not in values:
        raise UserError("Hyperparameter _num_cv_round repeats a cross-validation: give _kfold too.")


def _check_metrics(values: Values, objective: str) -> None:
    asked = values.get("eval_metric", [])
    assert isinstance(asked, list)
    if "auc" in asked and not objective.startswith(("binary:", "rank:")):
        raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in asked and objective != "survival:aft":
        raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")


def _check_tree_method(values: Values) -> None:
    method = values.get("tree_method")
    if method == "gpu_hist" or values.get("predictor") == "gpu_predictor":
        raise UserError(
            "gpu_hist and gpu_predictor need a GPU, and this XGBoost has none. Use tree_method 'hist'."
        )
    for name, allowed in (
        ("monotone_constraints", ("exact", "hist")),
        ("interaction_constraints", ("exact", "hist", "approx")),
    ):
        if name in values and method not in allowed:
            raise UserError(
                f"{name} can be used only when the tree_method parameter is set to {' or '.join(map(repr, allowed))}."
            )
