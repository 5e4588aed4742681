"""The FailureReason: a category and a text, at most 1,024 characters (semantics 1.6)."""

from __future__ import annotations

from colonnade.executors import Observation

LONGEST = 1024
_CATEGORIES = ("AlgorithmError:", "ClientError:", "InternalServerError:", "CapacityError:")


def reason_of(end: Observation) -> str:
    """Why a work that did not end well failed.

    >>> from colonnade.executors import Phase
    >>> reason_of(Observation(phase=Phase.ENDED, exit_code=137))
    'AlgorithmError: , exit code: 137'
    """
    if end.lost:
        return _within(f"InternalServerError: {end.failure}")
    if not end.staged and not end.failure.startswith("InstallRequirementsError"):
        return _within(f"ClientError: Data download failed: {end.failure}")
    code = 1 if end.exit_code is None else end.exit_code
    if end.failure.startswith("AlgorithmError:") or not end.failure.startswith(_CATEGORIES):
        text = end.failure.removeprefix("AlgorithmError:").strip()
        return _within(f"AlgorithmError: {text}", f", exit code: {code}")
    return _within(end.failure)


def _within(text: str, suffix: str = "") -> str:
    return text[: LONGEST - len(suffix)] + suffix
