"""Finds and loads the XGBoost models of a model folder. `compile` and `native` call it; nothing in the gateway does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import xgboost

from colonnade.algorithms.xgboost import models


def load(folder: Path) -> list[xgboost.Booster]:
    """The model, or the models of an ensemble in the order of their names; each cut to its best round.

    Raises NotAModelError.
    """
    held = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    # Ours are called xgboost-model; a model that was brought along may be called anything, when it is alone.
    files = [path for path in held if path.name.startswith(models.NAME)] or held
    if not files or (len(files) > 1 and not files[0].name.startswith(models.NAME)):
        names = ", ".join(path.name for path in held) or "no file"
        raise models.NotAModelError(f"The model's archive needs a file {models.NAME}; it holds {names}.")
    return [_loaded(path) for path in files]


def describe(booster: xgboost.Booster) -> dict[str, Any]:
    """What a contract needs to know."""
    learner = msgspec.json.decode(booster.save_config())["learner"]
    return {
        "objective": learner["objective"]["name"],
        "n_features": booster.num_features(),
        "num_class": int(learner["learner_model_param"]["num_class"]),
    }


def _loaded(path: Path) -> xgboost.Booster:
    booster = models.read(path.read_bytes(), path.name)
    # Names would only be compared with those of the request, which has none.
    booster.feature_names = booster.feature_types = None
    best = booster.attr("best_iteration")
    if best is not None and int(best) + 1 < booster.num_boosted_rounds():
        booster = booster[: int(best) + 1]
    return booster
