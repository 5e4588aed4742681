"""A training job's statuses and how it passes from one to the next (semantics 1.7).

InProgress: Starting, Downloading (File channels only), Training, Uploading -> Completed
InProgress or Stopping -> Failed, Stopped (Stopped, MaxRuntimeExceeded)
"""

from __future__ import annotations

import math

from colonnade.kernel.store import Document

IN_PROGRESS, STOPPING = "InProgress", "Stopping"
ENDED = frozenset({"Completed", "Failed", "Stopped"})

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def born(at: float) -> Document:
    """What a job has when it is created."""
    document: Document = {"TrainingJobStatus": IN_PROGRESS}
    enter(document, "Starting", at)
    return document


def enter(document: Document, secondary: str, at: float) -> None:
    """Go on to a secondary status, once; the one before ends when this begins. Time does not run back between them."""
    transitions = document.setdefault("SecondaryStatusTransitions", [])
    if document.get("SecondaryStatus") == secondary:
        return
    if transitions:
        at = max(at, transitions[-1]["StartTime"])
        transitions[-1]["EndTime"] = at
    document["SecondaryStatus"] = secondary
    transitions.append({"Status": secondary, "StartTime": at, "StatusMessage": _MESSAGES[secondary]})


def end(document: Document, status: str, secondary: str, at: float) -> None:
    """The last transition: the job's times stand from now on."""
    enter(document, secondary, at)
    last = document["SecondaryStatusTransitions"][-1]
    last["EndTime"] = last["StartTime"]
    document["TrainingJobStatus"] = status
    document["TrainingEndTime"] = last["StartTime"]
    if "TrainingStartTime" in document:
        seconds = max(1, math.ceil(document["TrainingEndTime"] - document["TrainingStartTime"]))
        document["TrainingTimeInSeconds"] = document["BillableTimeInSeconds"] = seconds


def is_past(document: Document, secondary: str) -> bool:
    """Whether the job has been in that secondary status."""
    return any(entry["Status"] == secondary for entry in document["SecondaryStatusTransitions"])
