"""The SM_* variables and the arguments that a user's script gets (semantics 1.4 and 1.5)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colonnade.runtimes.toolkit.settings import Settings


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """
    >>> arguments({"max-depth": 3, "e": 0.1, "grid": {"a": 1, "b": 2}})
    ['-e', '0.1', '--grid', 'a=1,b=2', '--max-depth', '3']
    """
    words = []
    for name in sorted(hyperparameters):
        words += [f"-{name}" if len(name) == 1 else f"--{name}", _argument(hyperparameters[name])]
    return words


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={inner}" for name, inner in sorted(value.items()))
    return str(value)


def of_script(settings: Settings, framework_module: str) -> dict[str, str]:
    """All that a script may read from its environment, beside what the platform set."""
    table = _table(settings, framework_module)
    variables = {f"SM_{name.upper()}": _text(value) for name, value in table.items()}
    for channel in settings.channels:
        variables[f"SM_CHANNEL_{channel.upper()}"] = str(settings.base / "input" / "data" / channel)
    for name, value in settings.hyperparameters.items():
        variables[f"SM_HP_{name.upper()}"] = _text(value)
    return variables | {
        "SM_TRAINING_ENV": _text(_training_environment(settings, table)),
        "CURRENT_HOST": settings.resources["current_host"],
        "SAGEMAKER_REGION": str(settings.own.get("sagemaker_region") or ""),
        "SAGEMAKER_JOB_NAME": str(settings.own.get("sagemaker_job_name") or ""),
        "PYTHONPATH": os.pathsep.join([str(settings.code), *filter(None, sys.path)]),
    }


def _table(settings: Settings, framework_module: str) -> dict[str, Any]:
    """Variable names without `SM_`, in small letters."""
    base, resources = settings.base, settings.resources
    groups = resources.get("instance_groups", [])
    current = resources.get("current_group_name", "homogeneousCluster")
    return {
        "model_dir": str(base / "model"),
        "input_dir": str(base / "input"),
        "input_config_dir": str(base / "input" / "config"),
        "output_dir": str(base / "output"),
        "output_data_dir": str(base / "output" / "data"),
        "output_intermediate_dir": str(base / "output" / "intermediate"),
        "channels": sorted(settings.channels),
        "hps": settings.hyperparameters,
        "user_args": arguments(settings.hyperparameters),
        "current_host": resources["current_host"],
        "hosts": resources["hosts"],
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "current_instance_type": resources.get("current_instance_type", "local"),
        "current_instance_group": current,
        "current_instance_group_hosts": next(
            (group["hosts"] for group in groups if group["instance_group_name"] == current),
            resources["hosts"],
        ),
        "instance_groups": [group["instance_group_name"] for group in groups],
        "instance_groups_dict": {group["instance_group_name"]: group for group in groups},
        "distribution_instance_groups": [],
        "is_hetero": len(groups) > 1,
        "num_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "num_gpus": len(list(Path("/dev").glob("nvidia[0-9]*"))),
        "num_neurons": 0,
        "resource_config": resources,
        "input_data_config": settings.channels,
        "user_entry_point": settings.program,
        "module_name": settings.program.removesuffix(".py"),
        "module_dir": settings.submit_directory,
        "framework_module": framework_module,
        "framework_params": settings.framework,
        "log_level": settings.log_level,
    }


def _training_environment(settings: Settings, table: Mapping[str, Any]) -> dict[str, Any]:
    """SM_TRAINING_ENV: the table under the toolkit's longer names."""
    left_out = {"hps", "channels", "user_args", "framework_params"}
    return {name: value for name, value in table.items() if name not in left_out} | {
        "additional_framework_parameters": table["framework_params"],
        "channel_input_dirs": {
            name: str(settings.base / "input" / "data" / name) for name in settings.channels
        },
        "hyperparameters": settings.hyperparameters,
        "is_master": settings.resources["current_host"] == settings.resources["hosts"][0],
        "job_name": settings.variables.get("TRAINING_JOB_NAME"),
        "master_hostname": settings.resources["hosts"][0],
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))
