"""Colonnade: the machine-learning stack of the AWS Well-Architected ML Lens, self-hosted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colonnade.sagemaker import sagemaker_session as sagemaker_session

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Late: the server never needs it.
    if name == "sagemaker_session":
        from colonnade.sagemaker import sagemaker_session

        return sagemaker_session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
