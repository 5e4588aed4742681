"""Transform jobs: a model's predictions for the objects of a prefix or manifest, as objects, without an endpoint.

`operations` answers requests, `acceptance` refuses what cannot or will not be done, `shares` deals the objects out to instances,
`contract` lays out what an instance sees, `reconciler` drives a job through its `states`. What an instance does is in
`colonnade.serving.batch`.
"""

from __future__ import annotations

from colonnade.kernel.resources import Refusal, Resource

TRANSFORM_JOBS = Resource(
    "sagemaker",
    "TransformJob",
    arn_kind="transform-job",
    missing=Refusal("ValidationException", "Could not find requested job with name: {name}"),
    duplicate=Refusal(
        "ResourceInUse",
        "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})",
    ),
    status_member="TransformJobStatus",
)
LOG_GROUP = "/aws/sagemaker/TransformJobs"
SERVICE = "sagemaker.amazonaws.com"
