"""Model files of XGBoost, read with care: training continues them, serving answers from them.

Pickles are refused, since loading one runs whatever code its author put there. What is no model at all never reaches
the library, which ends the whole process on an empty file.
"""

from __future__ import annotations

import xgboost

NAME = "xgboost-model"
_PICKLE_STARTS = (b"\x80", b"ccopy_reg", b"(")


class NotAModelError(ValueError):
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
        reason = str(error).partition("Stack trace")[0].strip()
        raise NotAModelError(f"{source} is not an XGBoost model in JSON or UBJSON: {reason}") from None
