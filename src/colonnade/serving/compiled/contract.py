"""How SageMaker's XGBoost container answers /invocations: which bodies it takes, how scores become bytes, which statuses.

Both predictors share it; it knows neither onnxruntime nor xgboost. The single CSV row in, CSV out, is the hot path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from colonnade.formats import FormatError, Matrix, Sparse, csv, libsvm, record, recordio
from colonnade.serving.compiled import InvocationError as InvocationError
from colonnade.serving.compiled import selection

CSV, JSON, JSON_LINES, RECORDIO = (
    *("text/csv", "application/json", "application/jsonlines"),
    "application/x-recordio-protobuf",
)
_READERS: Mapping[str, Callable[[bytes], Matrix | Sparse]] = {
    CSV: csv.rows,
    "text/libsvm": libsvm.rows,
    "text/x-libsvm": libsvm.rows,
    RECORDIO: recordio.rows,
}


class Contract:
    """Of one model in one container environment. Immutable; safe from several threads."""

    def __init__(
        self, *, features: int, objective: str, classes: int = 0, environment: Mapping[str, str] | None = None
    ) -> None:
        environment = environment or {}
        self.features = features
        self.objective = objective
        self._classes = classes
        self._keys = selection.keys(environment.get("SAGEMAKER_INFERENCE_OUTPUT", ""))
        self._batch = bool(environment.get("SAGEMAKER_BATCH"))
        self._default = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "") or CSV
        self._plain = not self._keys and not self._batch

    def read(self, body: bytes, content_type: str = CSV) -> Matrix:
        """The rows to predict, as wide as the model."""
        if not body:
            raise InvocationError(204, "")
        try:
            rows = csv.rows(body) if content_type == CSV else _reader(content_type)(body)
        except FormatError as error:
            kind = content_type.partition(";")[0] or CSV
            raise InvocationError(
                415,
                f"Loading {kind} data failed, please ensure data is in {kind} format: {error}",
                line=error.line,
            ) from None
        if isinstance(rows, Sparse):
            if rows.width > self.features:
                raise self._mismatch(rows.width, content_type)
            rows = rows.dense(self.features)
        if rows.shape[1] != self.features:
            raise self._mismatch(rows.shape[1], content_type)
        if np.count_nonzero(np.isinf(rows)):
            # XGBoost refuses them and onnxruntime does not: one model, one answer.
            raise unable(
                "Input data contains `inf` or a value too large for float32. Leave a missing value empty."
            )
        return rows

    def write(self, scores: np.ndarray[Any, Any], accept: str = "") -> tuple[bytes, str]:
        """Body and content type."""
        kind = self._chosen(accept)
        if kind == CSV and self._plain:
            return ",".join(map(str, scores.tolist())).encode(), CSV
        if self._keys:
            predictions = selection.select(scores, self._keys, self.objective, self._classes)
            return selection.encode(predictions, self._keys, kind, final_newline=self._batch), kind
        values = scores.tolist()
        if kind == CSV:
            return _column(scores), CSV
        if kind == RECORDIO:
            rows = scores.reshape(len(scores), -1).astype(np.float32)
            return b"".join(recordio.frame(record.encode({}, {"score": row})) for row in rows), RECORDIO
        return selection.encode(
            [{"score": value} for value in values], ("score",), kind, final_newline=True
        ), kind

    def shaped(self, answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Class labels are integers in ONNX, and floats as XGBoost answers them."""
        return answers.astype(np.float32) if answers.dtype != np.float32 else answers

    def failed(self, error: Exception) -> InvocationError:
        return unable(str(error))

    def _chosen(self, accept: str) -> str:
        if accept in ("", CSV):
            return accept or self._default
        offers = [offer.partition(";")[0].strip().lower() for offer in accept.split(",")]
        for offer in offers:
            if offer in ("", "*/*"):
                return self._default
            if offer in (CSV, JSON, JSON_LINES, RECORDIO):
                return offer
        supported = ", ".join((CSV, JSON, JSON_LINES, RECORDIO))
        raise InvocationError(
            406, f"Accept type {accept} is not supported. Supported accept types are {supported}."
        )

    def _mismatch(self, got: int, content_type: str) -> InvocationError:
        return unable(
            f"Feature size of {content_type.partition(';')[0]} inference data {got} is not consistent with feature "
            f"size of trained model {self.features}. Send the features in training order, without the label."
        )


def _column(scores: np.ndarray[Any, Any]) -> bytes:
    """A line for each score, as Python writes it. msgspec writes most numbers the same, nine times faster."""
    values = scores.tolist()
    if scores.ndim != 1 or not len(scores):
        return "".join(f"{value}\n" for value in values).encode()
    sizes = np.abs(scores)
    others = np.flatnonzero(~(((sizes >= 1.01e-4) & (sizes < 1e15)) | (sizes == 0)))
    lines = msgspec.json.encode(values)[1:-1].replace(b",", b"\n") + b"\n"
    if len(others):
        cells = lines.split(b"\n")
        for other in others.tolist():
            cells[other] = str(values[other]).encode()
        lines = b"\n".join(cells)
    return lines


def unable(reason: str) -> InvocationError:
    """Rows that were read and cannot be predicted."""
    return InvocationError(400, f"Unable to evaluate payload provided: {reason}")


def _reader(content_type: str) -> Callable[[bytes], Matrix | Sparse]:
    kind = content_type.partition(";")[0].strip().lower() or CSV
    if kind not in _READERS:
        raise InvocationError(
            415,
            f"Content-type {content_type} not supported. Supported content-type is {', '.join(_READERS)}.",
        )
    return _READERS[kind]
