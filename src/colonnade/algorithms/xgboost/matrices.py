"""From a channel's data to xgboost's matrices, with labels checked where the library's own messages would mislead."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from colonnade.algorithms.contract import UserError, examples
from colonnade.algorithms.contract.hyperparameters import Values
from colonnade.algorithms.contract.job import Job
from colonnade.algorithms.xgboost.parameters import whole
from colonnade.formats import Examples, Sparse


def of_channel(job: Job, channel: str, threads: int) -> xgboost.DMatrix:
    weighted = whole(job.values, "csv_weights") == 1
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
        count = whole(values, "num_class")
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
