"""How Studio would start a custom image: kernels, users, mount paths."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource

APP_IMAGE_CONFIGS = Resource("sagemaker", "AppImageConfig", effect=Effect.STORED)
APP_IMAGE_CONFIGS.serve("Create", "Describe", "List", "Update", "Delete")
