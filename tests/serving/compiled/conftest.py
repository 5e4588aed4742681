from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FEATURES = 6


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    random = np.random.default_rng(11)
    table = random.integers(0, 9, size=(400, FEATURES)).astype(np.float32)
    table[:, 0] = random.normal(size=400)
    table[random.random(table.shape) < 0.1] = np.nan
    return table


@pytest.fixture(scope="session")
def boosted(rows: np.ndarray) -> Callable[..., Any]:
    """A model of the objective, trained on labels that suit it."""
    xgboost = pytest.importorskip("xgboost")

    def train(objective: str, **parameters: Any) -> Any:
        signal = np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1]) / 4
        label = (
            np.digitize(signal, [0, 1, 2]) if objective.startswith("multi:") else (signal > 1).astype(float)
        )
        if objective.startswith(("reg:", "count:", "survival:")) and objective != "reg:logistic":
            label = np.abs(signal) + 0.5
        data = xgboost.DMatrix(rows, label=label)
        if objective == "survival:aft":
            data.set_float_info("label_lower_bound", label)
            data.set_float_info("label_upper_bound", label)
        if objective.startswith("rank:"):
            data.set_info(qid=np.arange(len(rows)) // 20)
        classes = {"num_class": 4} if objective.startswith("multi:") else {}
        return xgboost.train(
            {"objective": objective, "nthread": 1, "max_depth": 4, **classes, **parameters}, data, 12
        )

    return train


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """A model folder as /opt/ml/model holds it."""

    def save(*boosters: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        for number, booster in enumerate(boosters):
            name = "xgboost-model" if len(boosters) == 1 else f"xgboost-model-{number}"
            (folder / name).write_bytes(booster.save_raw("ubj"))
        return folder

    return save
