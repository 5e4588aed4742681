"""Workloads to benchmark inference with: a dataset and how it would be sent. Benchmarks that use them are absent."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource

AI_WORKLOAD_CONFIGS = Resource("sagemaker", "AIWorkloadConfig", effect=Effect.STORED)
AI_WORKLOAD_CONFIGS.serve("Create", "Describe", "List", "Delete")
