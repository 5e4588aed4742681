"""Serverless endpoints: the first call after a rest beside the calls after it, as a client meets them.

    python benchmarks/cold_start.py

A script's process is started, staged and loaded by the call; a compiled model is loaded into the worker that is asked.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests")]

from colonnade.testing.server import running  # noqa: E402
from journeys.team import SCIKIT_LEARN, Team  # noqa: E402

IDLE = 1
_REST = 4.0
"""Seconds after which whatever rests has come to rest."""
SCRIPT = "def model_fn(folder):\n    return None\n\ndef transform_fn(model, body, content_type, accept):\n    return body, 'text/plain'\n"


def figures(folder: Path, repeat: int) -> dict[str, Any]:
    variables = {"COLONNADE_SERVERLESS_IDLE_SECONDS": str(IDLE)}
    with running(folder / "cold", "--workers", "1", variables=variables) as server:
        team = Team(server).prepare()
        job = team.train()
        assert team.ended(job)["TrainingJobStatus"] == "Completed"
        models = {"compiled": (team.model(job), b"0.9,0.1"), "script": (_script(team), b"0.9,0.1")}
        return {kind: _kind(team, model, body, repeat) for kind, (model, body) in models.items()}


def _script(team: Team) -> str:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo("code/inference.py")
        entry.size = len(SCRIPT)
        archive.addfile(entry, io.BytesIO(SCRIPT.encode()))
    name = team.name("cold")
    container = {"Image": SCIKIT_LEARN, "ModelDataUrl": team.put(f"{name}.tar.gz", stream.getvalue())}
    team.server.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=team.role, PrimaryContainer=container
    )
    return name


def _kind(team: Team, model: str, body: bytes, repeat: int) -> dict[str, Any]:
    sagemaker, runtime = team.server.client("sagemaker"), team.server.client("sagemaker-runtime")
    name = team.name("serverless")
    config = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    variant = {"VariantName": "A", "ModelName": model, "ServerlessConfig": config}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    team.in_service(name)

    def call() -> float:
        began = time.perf_counter()
        runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="text/csv")["Body"].read()
        return time.perf_counter() - began

    cold, warm = [], []
    for _ in range(repeat):
        time.sleep(_REST)
        cold.append(call())
        warm += [call() for _ in range(5)]
    setups, microseconds = _setups(team, name)
    return {
        "cold_median_ms": round(statistics.median(cold) * 1e3, 1),
        "cold_worst_ms": round(max(cold) * 1e3, 1),
        "warm_median_ms": round(statistics.median(warm) * 1e3, 2),
        "cold_starts": setups,
        "model_setup_mean_ms": round(microseconds / max(1, setups) / 1e3, 1),
    }


def _setups(team: Team, endpoint: str) -> tuple[int, float]:
    with urlopen(f"{team.server.url}/_colonnade/metrics") as answer:
        lines = answer.read().decode().splitlines()
    found = {
        line.partition("{")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if f'endpoint="{endpoint}"' in line and 'metric="ModelSetupTime"' in line
    }
    prefix = "colonnade_endpoint_metric"
    return int(found.get(f"{prefix}_count", 0)), found.get(f"{prefix}_sum", 0.0)


def report(found: dict[str, Any]) -> list[str]:
    lines = [
        "",
        "| serverless | cold, median ms | worst ms | warm, median ms | cold / warm |",
        "|---|--:|--:|--:|--:|",
    ]
    for kind, one in found.items():
        ratio = one["cold_median_ms"] / one["warm_median_ms"]
        lines.append(
            f"| {kind} | {one['cold_median_ms']} | {one['cold_worst_ms']} | {one['warm_median_ms']} | {ratio:.1f} |"
        )
    return lines


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="colonnade-cold-") as folder:
        found = figures(Path(folder), 3)
    print(json.dumps(found, indent=2))
    print("\n".join(report(found)))
