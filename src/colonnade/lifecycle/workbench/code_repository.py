"""Git repositories by name, with the secret that opens them. Kept, never cloned: notebooks would do that."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Refusal, Resource

CODE_REPOSITORIES = Resource(
    "sagemaker",
    "CodeRepository",
    missing=Refusal("ValidationException", 'Cannot find CodeRepository: "{arn}".'),
    merged=["GitConfig"],
    effect=Effect.STORED,
)
CODE_REPOSITORIES.serve("Create", "Describe", "List", "Update", "Delete")
