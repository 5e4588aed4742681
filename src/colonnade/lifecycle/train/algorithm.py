"""Algorithms of one's own by name: image, channels, hyperparameters, metrics. Training by an algorithm's name is not built yet."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Refusal, Resource

ALGORITHMS = Resource(
    "sagemaker",
    "Algorithm",
    born={
        "AlgorithmStatus": "Completed",
        "AlgorithmStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    },
    not_yet={
        "ValidationSpecification": "Leave it out: nothing would run its jobs.",
        "CertifyForMarketplace": "Leave it out.",
    },
    missing=Refusal("ValidationException", 'Algorithm "{arn}" does not exist.'),
    duplicate=Refusal("ValidationException", 'Algorithm "{arn}" already exists.'),
    status_member="AlgorithmStatus",
    effect=Effect.STORED,
)
ALGORITHMS.serve("Create", "Describe", "List", "Delete")
