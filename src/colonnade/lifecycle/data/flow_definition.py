"""Flow definitions: who would review which predictions, by which template, and where the answers go."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource

FLOW_DEFINITIONS = Resource(
    "sagemaker",
    "FlowDefinition",
    born={"FlowDefinitionStatus": "Active"},
    status_member="FlowDefinitionStatus",
    effect=Effect.STORED,
)
FLOW_DEFINITIONS.serve("Create", "Describe", "List", "Delete")
