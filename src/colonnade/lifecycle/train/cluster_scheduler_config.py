"""Cluster scheduler configurations: which tasks of a cluster go first, and how idle compute is shared. A record, in versions."""

from __future__ import annotations

from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Resource
from colonnade.lifecycle.train import cluster_policies

CLUSTER_SCHEDULER_CONFIGS = Resource(
    "sagemaker",
    "ClusterSchedulerConfig",
    named=["ClusterSchedulerConfigId"],
    generate=cluster_policies.new_id,
    status_member="Status",
    effect=Effect.STORED,
)
CLUSTER_SCHEDULER_CONFIGS.serve("Delete")


@operation("sagemaker", "CreateClusterSchedulerConfig", effect=Effect.STORED)
def create_cluster_scheduler_config(call: Call) -> Result:
    return cluster_policies.create(CLUSTER_SCHEDULER_CONFIGS, call)


@operation("sagemaker", "DescribeClusterSchedulerConfig", effect=Effect.STORED)
def describe_cluster_scheduler_config(call: Call) -> Result:
    return cluster_policies.describe(CLUSTER_SCHEDULER_CONFIGS, call)


@operation("sagemaker", "UpdateClusterSchedulerConfig", effect=Effect.STORED)
def update_cluster_scheduler_config(call: Call) -> Result:
    return cluster_policies.update(CLUSTER_SCHEDULER_CONFIGS, call)


@operation("sagemaker", "ListClusterSchedulerConfigs", effect=Effect.STORED)
def list_cluster_scheduler_configs(call: Call) -> Result:
    return cluster_policies.list_all(CLUSTER_SCHEDULER_CONFIGS, call)
