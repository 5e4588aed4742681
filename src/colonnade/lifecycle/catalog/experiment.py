"""Experiments: a question, and the trials that try to answer it."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Refusal, Resource

EXPERIMENTS = Resource(
    "sagemaker",
    "Experiment",
    missing=Refusal("ResourceNotFound", 'Experiment "{arn}" does not exist.'),
    duplicate=Refusal(
        "ValidationException",
        "Experiment names must be unique within an AWS account and region. Experiment with name ({name}) already exists.",
    ),
    effect=Effect.STORED,
)
EXPERIMENTS.serve("Create", "Describe", "List", "Update", "Delete")
