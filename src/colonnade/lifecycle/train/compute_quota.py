"""Compute quotas: how much of a cluster a team may use, lend and borrow. A record, in versions."""

from __future__ import annotations

from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Resource
from colonnade.lifecycle.train import cluster_policies

COMPUTE_QUOTAS = Resource(
    "sagemaker",
    "ComputeQuota",
    named=["ComputeQuotaId"],
    generate=cluster_policies.new_id,
    born=lambda call: {"ActivationState": call.parameters.get("ActivationState", "Enabled")},
    status_member="Status",
    effect=Effect.STORED,
)
COMPUTE_QUOTAS.serve("Delete")


@operation("sagemaker", "CreateComputeQuota", effect=Effect.STORED)
def create_compute_quota(call: Call) -> Result:
    return cluster_policies.create(COMPUTE_QUOTAS, call)


@operation("sagemaker", "DescribeComputeQuota", effect=Effect.STORED)
def describe_compute_quota(call: Call) -> Result:
    return cluster_policies.describe(COMPUTE_QUOTAS, call)


@operation("sagemaker", "UpdateComputeQuota", effect=Effect.STORED)
def update_compute_quota(call: Call) -> Result:
    return cluster_policies.update(COMPUTE_QUOTAS, call)


@operation("sagemaker", "ListComputeQuotas", effect=Effect.STORED)
def list_compute_quotas(call: Call) -> Result:
    return cluster_policies.list_all(COMPUTE_QUOTAS, call)
