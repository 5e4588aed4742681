"""What the platform wrote into `input/config`, as the toolkit and the user's script see it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OWN = frozenset(
    {
        "sagemaker_program",
        "sagemaker_submit_directory",
        "sagemaker_region",
        "sagemaker_job_name",
        "sagemaker_container_log_level",
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_s3_output",
        "default_user_module_name",
        "_tuning_objective_metric",
    }
)
"""Hyperparameters that speak to the toolkit. Others that begin with `sagemaker_` are the framework's."""


@dataclass(frozen=True)
class Settings:
    base: Path
    hyperparameters: Mapping[str, Any]
    """The user's: values decoded from JSON where they are JSON."""
    own: Mapping[str, Any]
    framework: Mapping[str, Any]
    channels: Mapping[str, Mapping[str, str]]
    resources: Mapping[str, Any]
    variables: Mapping[str, str]

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def program(self) -> str:
        """The user's entry point; empty when nobody named one. The variable wins."""
        return self.variables.get("SAGEMAKER_PROGRAM") or str(self.own.get("sagemaker_program") or "")

    @property
    def submit_directory(self) -> str:
        given = self.variables.get("SAGEMAKER_SUBMIT_DIRECTORY") or self.own.get("sagemaker_submit_directory")
        return str(given or self.code)

    @property
    def log_level(self) -> int:
        return int(self.own.get("sagemaker_container_log_level") or 20)


def read(variables: Mapping[str, str] = os.environ) -> Settings:
    base = Path(variables.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    every = {name: decoded(value) for name, value in _config(base, "hyperparameters").items()}
    return Settings(
        base=base,
        hyperparameters={
            name: value
            for name, value in every.items()
            if name not in _OWN and not name.startswith("sagemaker_")
        },
        own={name: value for name, value in every.items() if name in _OWN},
        framework={
            name: value for name, value in every.items() if name not in _OWN and name.startswith("sagemaker_")
        },
        channels=_config(base, "inputdataconfig"),
        resources={"current_host": "algo-1", "hosts": ["algo-1"]} | _config(base, "resourceconfig"),
        variables=variables,
    )


def decoded(value: str) -> Any:
    """
    >>> decoded("10"), decoded('"text"'), decoded("text"), decoded('{"a": 1}')
    (10, 'text', 'text', {'a': 1})
    """
    try:
        return json.loads(value)
    except (ValueError, TypeError):
        return value


def _config(base: Path, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((base / "input" / "config" / f"{name}.json").read_text())
    except FileNotFoundError:
        return {}
    return found
