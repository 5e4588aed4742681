"""Training jobs: a program on a machine's worth of work, from data in S3 to a model in S3.

`operations` answers requests, `acceptance` refuses what cannot or will not be done, `contract` lays out what the program sees,
`reconciler` drives a job through its `states`.
"""

from __future__ import annotations

from colonnade.kernel.resources import Refusal, Resource

TRAINING_JOBS = Resource(
    "sagemaker",
    "TrainingJob",
    arn_kind="training-job",
    missing=Refusal("ValidationException", "Requested resource not found."),
    duplicate=Refusal(
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        "exists ({arn})",
    ),
    status_member="TrainingJobStatus",
)
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
