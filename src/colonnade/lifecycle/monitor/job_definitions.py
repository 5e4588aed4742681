"""What monitors would compute about an endpoint or a batch: data quality, model quality, bias, explainability.

Definitions are kept; nothing runs until there are monitoring schedules.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource
from colonnade.kernel.store import Document


def _summary(kind: str, definition: Document) -> Mapping[str, Any]:
    """Summaries call a definition differently, and name the endpoint that it is about."""
    watched = definition[f"{kind}JobInput"].get("EndpointInput", {})
    return {
        "MonitoringJobDefinitionName": definition["JobDefinitionName"],
        "MonitoringJobDefinitionArn": definition["JobDefinitionArn"],
        "EndpointName": watched.get("EndpointName"),
    }


def _kind(kind: str) -> Resource:
    return Resource(
        "sagemaker",
        f"{kind}JobDefinition",
        named=["JobDefinitionName"],
        arn_member="JobDefinitionArn",
        derived=partial(_summary, kind),
        effect=Effect.STORED,
    )


DATA_QUALITY = _kind("DataQuality")
DATA_QUALITY.serve("Create", "Describe", "List", "Delete")
MODEL_QUALITY = _kind("ModelQuality")
MODEL_QUALITY.serve("Create", "Describe", "List", "Delete")
MODEL_BIAS = _kind("ModelBias")
MODEL_BIAS.serve("Create", "Describe", "List", "Delete")
MODEL_EXPLAINABILITY = _kind("ModelExplainability")
MODEL_EXPLAINABILITY.serve("Create", "Describe", "List", "Delete")
