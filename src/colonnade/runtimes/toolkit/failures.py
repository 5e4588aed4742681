"""What a failing job says of itself: the toolkit's texts, which become the FailureReason (semantics 1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_LONGEST_MESSAGE = 600
"""Characters of an error's text, so that the command still fits in the 1,024 of a FailureReason."""


class ProgramFailed(Exception):  # noqa: N818 - an outcome
    """The user's program, or installing what it needs, did not succeed."""

    def __init__(self, kind: str, code: int, output: str, command: Sequence[str]) -> None:
        """`kind`: the toolkit's class name, `ExecuteUserScriptError` or `InstallRequirementsError`."""
        message = _message(output)
        super().__init__(f'{kind}:\nExitCode {code}\nErrorMessage "{message}"\nCommand "{" ".join(command)}"')


def _message(output: str) -> str:
    """The last traceback where there is one, else the last lines; its end, where the reason stands."""
    _, mark, trace = output.rpartition("Traceback (most recent call last):")
    text = (mark + trace).strip() if mark else "\n".join(output.strip().splitlines()[-10:])
    return text if len(text) <= _LONGEST_MESSAGE else "…" + text[-_LONGEST_MESSAGE:]


def write(base: Path, text: str) -> None:
    """Leave the reason for the platform, unless the program left its own."""
    path = base / "output" / "failure"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(text)
