"""How a framework's container answers /invocations with its default functions: the same handlers as in a replica, around a
compiled model.

The one difference is speed: a body of plain numbers is not taken apart in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from colonnade.formats import FormatError, csv
from colonnade.runtimes import handlers
from colonnade.runtimes.handlers.codecs import CSV, JSON, media_type
from colonnade.serving.compiled import InvocationError


class Handled:
    """Of one model in one container environment. Immutable; safe from several threads."""

    def __init__(self, description: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        self._handlers = handlers.load(description["contract"])
        self._default = (environment or {}).get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or JSON
        self._refuses: Mapping[str, str] = description["refuses"]
        self._dtype = np.dtype(description["answers"]["dtype"])
        self._shape = tuple(description["answers"]["shape"])
        self.features = int(description["n_features"])

    def read(self, body: bytes, content_type: str = "") -> Any:
        """The rows to predict, as the handlers read them."""
        content_type = content_type or JSON
        kind = media_type(content_type)
        if kind == CSV:
            try:
                return self._taken(csv.rows(body))
            except FormatError:
                pass  # Not plain numbers: the handlers say what is wrong with it.
        try:
            text: str | bytes = body.decode() if kind in (JSON, CSV) else body
            rows = self._handlers.decode(text, content_type)
            if not isinstance(rows, np.ndarray):
                rows = np.asarray(rows.todense())  # of a sparse .npz
        except Exception as error:
            raise self.failed(error) from error
        return self._taken(rows)

    def _taken(self, rows: Any) -> Any:
        if rows.ndim != 2 or not len(rows):
            raise InvocationError(
                500, f"ValueError: an array of shape {rows.shape} is no table of {self.features} features."
            )
        if rows.shape[1] != self.features:
            raise InvocationError(500, self._refuses["width"].replace("{}", str(rows.shape[1])))
        if not np.isfinite(rows).all():
            self._check_missing(rows)
        return rows

    def _check_missing(self, rows: Any) -> None:
        if self._refuses["nan"] and np.isnan(rows).any():
            raise InvocationError(500, self._refuses["nan"])
        if self._refuses["inf"] and np.isinf(rows).any():
            raise InvocationError(500, self._refuses["inf"])

    def shaped(self, answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """As the model's own library answers."""
        return answers.reshape(len(answers), *self._shape).astype(self._dtype, copy=False)

    def write(self, answers: np.ndarray[Any, Any], accept: str = "") -> tuple[bytes, str]:
        """Body and content type."""
        try:
            written, kind = self._handlers.encode(answers, self._default if accept in ("", "*/*") else accept)
        except Exception as error:
            raise self.failed(error) from error
        return written.encode() if isinstance(written, str) else written, kind

    def failed(self, error: Exception) -> InvocationError:
        """What a replica answers when its model's code raises."""
        return InvocationError(500, f"{type(error).__name__}: {error}")
