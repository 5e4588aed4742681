"""What a model says to rows that it does not take, heard once when it is compiled, and said again in its place.

`handled` answers with it: a compiled model must refuse what the original refuses, in the same words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from colonnade.serving.compiled.original import Rows

_WIDER = 90_007
"""A number that no message holds by chance."""


def facts(runtime: str, predict: Callable[[Rows], Any], features: int) -> dict[str, Any]:
    """What `handled` needs to know of a model."""
    row = np.zeros((1, features), dtype=np.float32)
    answer = np.asarray(predict(row))
    return {
        "contract": runtime,
        "n_features": features,
        "answers": {"dtype": answer.dtype.str, "shape": list(answer.shape[1:])},
        "refuses": {
            "nan": said(predict, row * np.nan),
            "inf": said(predict, row + np.inf),
            "width": said(predict, np.zeros((1, features + _WIDER), dtype=np.float32)).replace(
                str(features + _WIDER), "{}"
            ),
        },
    }


def said(predict: Callable[[Rows], Any], rows: Rows) -> str:
    """The error of these rows, as a replica would answer it; empty when they are predicted."""
    try:
        predict(rows)
    except Exception as error:  # noqa: BLE001 - the model's own, whatever it is
        return f"{type(error).__name__}: {error}"
    return ""
