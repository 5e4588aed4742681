"""Private hubs: named places for models and notebooks."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource

HUBS = Resource(
    "sagemaker",
    "Hub",
    born={"HubStatus": "InService"},
    status_member="HubStatus",
    effect=Effect.STORED,
)
HUBS.serve("Create", "Describe", "List", "Update", "Delete")
