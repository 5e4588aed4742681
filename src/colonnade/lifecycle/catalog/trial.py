"""Trials: one attempt within an experiment, made of trial components."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Refusal, Resource
from colonnade.lifecycle.catalog.experiment import EXPERIMENTS

TRIALS = Resource(
    "sagemaker",
    "Trial",
    arn_kind="experiment-trial",
    within={"ExperimentName": EXPERIMENTS},
    missing=Refusal("ResourceNotFound", 'Trial "{arn}" does not exist.'),
    duplicate=Refusal(
        "ValidationException",
        "Trial names must be unique within an AWS account and region. Trial with name ({name}) already exists.",
    ),
    effect=Effect.STORED,
)
TRIALS.serve("Create", "Describe", "Update", "Delete")
