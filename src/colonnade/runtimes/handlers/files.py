"""Which file of a model folder is the model, for handlers that load one without the user's help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from colonnade.algorithms.contract import UserError


class ModelFileError(UserError):
    """The text names the files that there are, and what would be right."""


def model_file(model_dir: str, names: Sequence[str], endings: Sequence[str]) -> Path:
    """By its usual name, else the only one with a usual ending, else the only file there is."""
    held = sorted(
        path for path in Path(model_dir).iterdir() if path.is_file() and not path.name.startswith(".")
    )
    for name in names:
        if (found := Path(model_dir, name)) in held:
            return found
    usual = [path for path in held if path.name.endswith(tuple(endings))]
    for alone in (usual, held):
        if len(alone) == 1:
            return alone[0]
    told = ", ".join(path.name for path in held) or "no file"
    raise ModelFileError(
        f"The model's archive needs a file {names[0]}, or code/inference.py with a model_fn; it holds {told}."
    )
