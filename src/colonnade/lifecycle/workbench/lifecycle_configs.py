"""Scripts for the start of Studio's apps and of notebook instances."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource

STUDIO_LIFECYCLE_CONFIGS = Resource(
    "sagemaker",
    "StudioLifecycleConfig",
    derived=lambda document: {"AppType": document["StudioLifecycleConfigAppType"]},
    effect=Effect.STORED,
)
STUDIO_LIFECYCLE_CONFIGS.serve("Create", "Describe", "List", "Delete")

NOTEBOOK_INSTANCE_LIFECYCLE_CONFIGS = Resource(
    "sagemaker", "NotebookInstanceLifecycleConfig", effect=Effect.STORED
)
NOTEBOOK_INSTANCE_LIFECYCLE_CONFIGS.serve("Create", "Describe", "List", "Update", "Delete")
