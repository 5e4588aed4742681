"""The work that every server does: one row of census data, without its label, scored by the same XGBoost model as ONNX."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
YEAR = TOP / "examples" / "data" / "census-employment" / "2015.csv.gz"
ROUNDS, DEPTH = 100, 6


def lines() -> list[str]:
    """Label first."""
    return gzip.decompress(YEAR.read_bytes()).decode().splitlines()


def rows(count: int) -> list[str]:
    return [line.partition(",")[2] for line in lines()[:count]]


def prepare(folder: Path) -> tuple[Path, bytes, int]:
    """The ONNX file that the peers serve, the model.tar.gz that Colonnade compiles to just that, and the number of features."""
    import numpy as np
    import xgboost

    from colonnade.serving.compiled.compile import compile_model

    table = np.loadtxt(lines()[:20_000], delimiter=",", dtype=np.float32)
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": DEPTH, "eta": 0.2, "nthread": 2, "seed": 1},
        xgboost.DMatrix(table[:, 1:], table[:, 0]),
        ROUNDS,
    )
    model = folder / "model"
    model.mkdir()
    booster.save_model(model / "xgboost-model.json")
    (model / "xgboost-model.json").rename(model / "xgboost-model")
    described = compile_model(model, folder / "compiled")
    assert described["kind"] == "onnx", described["reason"]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(model / "xgboost-model", "xgboost-model")
    return folder / "compiled" / "model.onnx", packed.getvalue(), table.shape[1] - 1
