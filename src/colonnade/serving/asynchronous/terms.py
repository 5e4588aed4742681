"""What of an endpoint's AsyncInferenceConfig the workers must know: part of each of its variants in the route's document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_CONCURRENCY = 4
"""Of one instance, where MaxConcurrentInvocationsPerInstance does not say: enough that none waits for input and output."""


@dataclass(frozen=True, slots=True)
class Terms:
    output: str
    """S3OutputPath, without a slash at its end."""
    failure: str
    """S3FailurePath likewise; empty where failures are only told to the topic."""
    kms_key: str
    success_topic: str
    error_topic: str
    included_in: frozenset[str]
    """IncludeInferenceResponseIn."""
    role: str
    """Reads the input, writes the output, publishes."""
    instances: int
    """Those that stand at the moment."""
    per_instance: int
    """Requests that one instance works on at a time."""

    @property
    def capacity(self) -> int:
        return self.instances * self.per_instance


def document(config: Mapping[str, Any], role: str, instances: int) -> dict[str, Any]:
    """For the route, from an AsyncInferenceConfig."""
    output = config["OutputConfig"]
    topics = output.get("NotificationConfig", {})
    return {
        "output": output["S3OutputPath"].rstrip("/"),
        "failure": output.get("S3FailurePath", "").rstrip("/"),
        "kms_key": output.get("KmsKeyId", ""),
        "success_topic": topics.get("SuccessTopic", ""),
        "error_topic": topics.get("ErrorTopic", ""),
        "included_in": list(topics.get("IncludeInferenceResponseIn", [])),
        "role": role,
        "instances": instances,
        "per_instance": config.get("ClientConfig", {}).get(
            "MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY
        ),
    }


def read(document: Mapping[str, Any]) -> Terms:
    return Terms(**{**document, "included_in": frozenset(document["included_in"])})
