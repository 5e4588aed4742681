"""A transform job's statuses: InProgress -> Completed or Failed, or by way of Stopping -> Stopped.

Beside the wire's members a document holds

- `_Model`: the model's containers and role as they were when the job was created; it may be deleted meanwhile.
- `_Prepared`: what is known of each container's model data, as `model.preparation` has it.
- `_Shares`: for each instance its files, as [bucket, key, name below the output]; from then on its work runs, or has run.
- `_Works`: the executor's id of each instance's work; `_Started` when all of them have been started.
"""

from __future__ import annotations

from colonnade.kernel.store import Document

IN_PROGRESS, STOPPING = "InProgress", "Stopping"
COMPLETED, FAILED, STOPPED = "Completed", "Failed", "Stopped"
ENDED = frozenset({COMPLETED, FAILED, STOPPED})


def end(document: Document, status: str, at: float) -> None:
    document["TransformJobStatus"] = status
    document["TransformEndTime"] = max(at, document.get("TransformStartTime", at))
