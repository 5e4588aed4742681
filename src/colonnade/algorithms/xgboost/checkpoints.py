"""Checkpoints of a boosting run: one model file a round, the newest five kept, the newest readable one resumed from.

Names are those of SageMaker's container: `xgboost-checkpoint.<round>`, written under a name ending in
`.sagemaker-ignore` (which the platform does not upload) and renamed when complete.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import xgboost

from colonnade.algorithms.xgboost import models

_NAME = "xgboost-checkpoint"
_KEPT = 5


def latest(folder: Path | None) -> tuple[xgboost.Booster | None, int]:
    """The model to go on from and how many rounds it has. (None, 0) when nothing readable is there."""
    for number, path in sorted(_found(folder).items(), reverse=True) if folder else []:
        try:
            booster = models.read(path.read_bytes(), path.name)
        except models.NotAModelError as error:
            print(f"Trying the checkpoint before: {error}", flush=True)
            continue
        print(f"Checkpoint loaded from {path}\nResuming from iteration {number + 1}", flush=True)
        return booster, number + 1
    return None, 0


class SaveCheckpoints(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    """Saves after every round; numbering continues where a resumed run began."""

    def __init__(self, folder: Path, done: int) -> None:
        super().__init__()
        self._folder = folder
        self._done = done
        folder.mkdir(parents=True, exist_ok=True)

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        number = self._done + epoch
        temporary = self._folder / f"{_NAME}.{number}.sagemaker-ignore"
        temporary.write_bytes(model.save_raw("ubj"))
        temporary.replace(self._folder / f"{_NAME}.{number}")
        for old, path in _found(self._folder).items():
            if old <= number - _KEPT:
                path.unlink(missing_ok=True)
        return False


def _found(folder: Path | None) -> dict[int, Path]:
    """Round number -> file."""
    if folder is None or not folder.is_dir():
        return {}
    matches = ((re.fullmatch(rf"{_NAME}\.(\d+)", path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in matches if match}
