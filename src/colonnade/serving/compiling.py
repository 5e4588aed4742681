"""Compiles a kept model once, in a process of its own: the model is its owner's, and converting it runs foreign parsers.

Called again and again by whoever wants the result; the executor knows the work by the model's digest, so endpoints that
share a model share its compilation.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from colonnade.executors import Environment, Executor, Input, Limits, Observation, Phase, Work
from colonnade.serving.artifacts import Artifacts
from colonnade.serving.crashes import crashed

_OUTPUT = "output/compiled"
_SECONDS = 600.0
_one_at_a_time = threading.Lock()
"""So that of two endpoints with one model, one collects what was compiled and the other finds it."""


@dataclass(frozen=True, slots=True)
class Compilation:
    state: Literal["pending", "compiled", "native", "refused"]
    folder: Path | None = None
    """Of the compiled model."""
    reason: str = ""
    """Why it is to be served by its own library, or not at all."""


def compilation(artifacts: Artifacts, executor: Executor, digest: str, runtime: str) -> Compilation:
    """How far the compilation of a kept model is; begins it the first time."""
    with _one_at_a_time:
        return _step(artifacts, executor, digest, runtime)


def _step(artifacts: Artifacts, executor: Executor, digest: str, runtime: str) -> Compilation:
    if reason := artifacts.refusal(digest, runtime):
        return Compilation("refused", reason=reason)
    folder = artifacts.compiled(digest, runtime)
    if folder is not None:
        return _found(folder)
    work = _work(artifacts, digest, runtime)
    seen = executor.observe(work.id)
    if seen.phase is Phase.ABSENT:
        executor.start(work)
    if seen.phase is not Phase.ENDED:
        return Compilation("pending")
    outcome = _collect(artifacts, executor, digest, runtime, work.id, seen)
    executor.forget(work.id)
    return outcome


def _found(folder: Path) -> Compilation:
    if why := crashed(folder):
        return Compilation("native", reason=f"served natively: as ONNX it ended the server's process ({why})")
    description = json.loads((folder / "compiled.json").read_text(encoding="utf-8"))
    if description["kind"] == "onnx":
        return Compilation("compiled", folder)
    return Compilation("native", reason=description["reason"])


def _collect(
    artifacts: Artifacts, executor: Executor, digest: str, runtime: str, work: str, seen: Observation
) -> Compilation:
    """A clean end left its files; exit code 1 is the compiler's judgement of the model; anything else only says that this
    attempt went wrong, so the model is served natively and compiled another time."""
    if seen.exit_code == 0:
        names = [file.path for file in executor.outputs(work, _OUTPUT)]
        files = {name: executor.open(work, f"{_OUTPUT}/{name}") for name in names}
        return _found(artifacts.keep_compiled(digest, runtime, files))
    said = [event.message for event in executor.logs(work).events if event.message.strip()]
    if (seen.exit_code == 1 and not seen.timed_out) or not seen.staged:
        reason = seen.failure or "\n".join(said[-1:]) or "the compiler gave no reason"
        artifacts.keep_refusal(digest, runtime, reason)
        return Compilation("refused", reason=reason)
    return Compilation("native", reason=f"its compilation ended with exit code {seen.exit_code}")


def _work(artifacts: Artifacts, digest: str, runtime: str) -> Work:
    return Work(
        id=f"compile-{runtime}-{digest[:40]}",
        command=[
            "python",
            "-m",
            "colonnade.serving.compiled",
            "/opt/ml/model",
            f"/opt/ml/{_OUTPUT}",
            runtime,
        ],
        environment=Environment(runtime),
        variables={},
        folders=[_OUTPUT],
        archives=[Input("model", artifacts.content(digest))],
        limits=Limits(max_runtime_seconds=_SECONDS, stop_grace_seconds=5),
    )
