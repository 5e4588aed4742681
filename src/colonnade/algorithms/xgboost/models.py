"""Model files of XGBoost, read with care: training continues them, serving answers from them.

Pickles are refused, since loading one runs whatever code its author put there. What is no model at all never reaches
the library, which ends the whole process on an empty file.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import xgboost

from colonnade.algorithms.contract import UserError

NAME = "xgboost-model"
_PICKLE_STARTS = (b"\x80", b"ccopy_reg", b"(")


class NotAModelError(UserError):
    """The text names the file, what is wrong with it and what would be right."""


def read(raw: bytes, source: str) -> xgboost.Booster:
    """The model in a file's content, JSON or UBJSON."""
    if raw.startswith(_PICKLE_STARTS):
        raise NotAModelError(
            f"{source} is a Python pickle, which is refused because loading it runs code. "
            "Save it with Booster.save_model (JSON or UBJSON)."
        )
    if not raw.startswith(b"{") or len(raw) < 3:
        raise NotAModelError(
            f"{source} is not an XGBoost model in JSON or UBJSON. Save it with Booster.save_model."
        )
    try:
        return xgboost.Booster(model_file=bytearray(raw))
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise NotAModelError(
            f"{source} is not an XGBoost model in JSON or UBJSON: {sentence(error)}"
        ) from None


def sentence(error: Exception) -> str:
    """What the library says, without its place in C++ and its stack."""
    lines = str(error).partition("Stack trace")[0].strip().splitlines()
    return (lines[0].rpartition(".cc:")[2].partition(": ")[2] or lines[0]) if lines else type(error).__name__


def save(booster: xgboost.Booster, path: Path) -> None:
    """All or nothing: whoever finds the file finds a whole model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(booster.save_raw("ubj"))
    temporary.replace(path)


def earlier(folder: Path) -> xgboost.Booster:
    """The model of an earlier job, for incremental training: its model.tar.gz, or that unpacked."""
    plain, archive = folder / NAME, folder / "model.tar.gz"
    if plain.is_file():
        raw = plain.read_bytes()
    elif archive.is_file():
        with tarfile.open(archive) as members:
            held = next((m for m in members if m.isfile() and Path(m.name).name == NAME), None)
            found = members.extractfile(held) if held else None
            if found is None:
                raise UserError(f"Channel 'model': model.tar.gz holds no {NAME}.")
            raw = found.read()
    else:
        raise UserError(f"Channel 'model' holds neither model.tar.gz nor {NAME}.")
    print("Continuing the model of channel 'model'", flush=True)
    return read(raw, f"Channel 'model': {NAME}")
