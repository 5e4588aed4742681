"""Which of the back ends this machine allows: tried out, not guessed, by running a real interpreter through each."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from colonnade.executors.process import environment
from colonnade.executors.process.enter import words
from colonnade.executors.process.folder import write_json
from colonnade.executors.process.processes import FIRST_USER

KINDS = ("namespace", "user-namespace", "plain")


def choose(wanted: str, python: str, shown: tuple[str, ...], keep: tuple[str, ...]) -> str:
    """The kind to use for `wanted`. Raises RuntimeError when the one asked for does not work here."""
    if wanted == "plain":
        return wanted
    own = "namespace" if os.geteuid() == 0 else "user-namespace"
    kind = own if wanted in ("auto", "namespace") else wanted
    if kind not in KINDS:
        raise ValueError(f"isolation {wanted!r} is none of auto, {', '.join(KINDS)}")
    problem = problem_with(kind, python, shown, keep)
    if not problem:
        return kind
    if wanted == "auto":
        return "plain"
    raise RuntimeError(f"isolation {wanted!r} does not work on this machine: {problem}")


@cache
def problem_with(kind: str, python: str, shown: tuple[str, ...], keep: tuple[str, ...]) -> str:
    """Why works cannot run so; empty when they can."""
    with tempfile.TemporaryDirectory(prefix="colonnade-probe-") as scratch:
        root, uid = Path(scratch), FIRST_USER if kind == "namespace" else None
        for name in ("ml", "tmp"):
            (root / name).mkdir()
        environment.lay(root / "env", python, shown)
        if uid is not None:
            for name in ("ml", "tmp", "env"):
                environment.give(root / name, uid)
        program = "import colonnade.executors; open('/opt/ml/probe', 'w').close()"
        entry = {
            "isolation": kind, "uid": uid, "runner": os.getpid(), "ml": f"{root}/ml", "environment": f"{root}/env",
            "run": "", "temporary": f"{root}/tmp", "hide": [], "shown": [], "keep": list(keep), "directory": "/opt/ml",
            "command": ["/opt/colonnade/env/bin/python", "-c", program], "variables": {"PATH": "/usr/bin:/bin"},
        }  # fmt: skip
        write_json(root / "entry.json", entry)
        done = subprocess.run(
            words("enter", f"{root}/entry.json"), capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode == 0 and (root / "ml" / "probe").exists():
            return ""
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
