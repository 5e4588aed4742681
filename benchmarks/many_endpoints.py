"""Many endpoints with small compiled models on one server: how soon each is in service, and what an idle one holds in memory.

    python benchmarks/many_endpoints.py [--endpoints 200] [--models 200]

Each endpoint has a model of its own (100 trees of depth 4, ten features, other numbers in each). The first one's creation includes
its conversion; then all models are converted in the background, as after CreateModel, and each CreateEndpoint is timed to
InService. Memory is PSS of the whole server with one worker, before and after.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests"), str(TOP / "benchmarks")]

from memory import pss_mib  # noqa: E402

from colonnade.testing.server import Server, running  # noqa: E402
from journeys.team import XGBOOST, Team, wait_for  # noqa: E402


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--endpoints", type=int, default=200)
    arguments.add_argument(
        "--models", type=int, default=200, help="different ones; endpoints take them in turns"
    )
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="colonnade-many-") as folder,
        running(Path(folder) / "data", "--workers", "1") as server,
    ):
        for name, value in measure(server, options.endpoints, options.models).items():
            print(f"{name:44} {value}")
    return 0


def measure(server: Server, endpoints: int, models: int) -> dict[str, Any]:
    team = Team(server).prepare()
    sagemaker = server.client("sagemaker")
    names = []
    for number, archive in enumerate(archives(models)):
        url = team.put(f"many/{number}.tar.gz", archive)
        names.append(f"many-{number}")
        container = {"Image": XGBOOST, "ModelDataUrl": url}
        sagemaker.create_model(ModelName=names[-1], ExecutionRoleArn=team.role, PrimaryContainer=container)
    cold = created(sagemaker, "cold", names[0])
    converted(server, models)
    before, seconds = pss_mib(server.process.pid), []
    for number in range(endpoints):
        seconds.append(created(sagemaker, f"endpoint-{number}", names[number % models]))
    time.sleep(2)  # idle is what it is when creation is over
    after = pss_mib(server.process.pid)
    rates = asked(server, endpoints)
    return {
        "first, with its conversion, s": round(cold, 2),
        "converted, to InService: median s": round(statistics.median(seconds), 3),
        "converted, to InService: slowest s": round(max(seconds), 3),
        "last ten, median s": round(statistics.median(seconds[-10:]), 3),
        "PSS before, MiB": round(before, 1),
        "PSS with all in service, MiB": round(after, 1),
        "PSS of an idle endpoint, MiB": round((after - before) / endpoints, 3),
        "PSS after each was called once, MiB": round(pss_mib(server.process.pid), 1),
        "first call of each: median, slowest ms": f"{statistics.median(rates) * 1e3:.1f}, {max(rates) * 1e3:.1f}",
    }


def archives(count: int) -> list[bytes]:
    import numpy as np
    import xgboost

    packed = []
    for seed in range(count):
        random = np.random.default_rng(seed)
        rows = random.random((500, 10), dtype=np.float32)
        booster = xgboost.train(
            {"max_depth": 4, "nthread": 1, "objective": "binary:logistic"},
            xgboost.DMatrix(rows, (rows[:, 0] + random.random(500) > 1).astype(float)),
            100,
        )
        raw, stream = booster.save_raw("ubj"), io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            member = tarfile.TarInfo("xgboost-model")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(bytes(raw)))
        packed.append(stream.getvalue())
    return packed


def converted(server: Server, models: int) -> None:
    wait_for(
        lambda: len(list((server.data / "models").glob("*/compiled*/compiled.json"))),
        lambda found: found >= models,
        deadline_seconds=30 + 15 * models,
    )


def created(sagemaker: Any, name: str, model: str) -> float:
    """Seconds from CreateEndpoint to InService."""
    variant = {
        "VariantName": "A",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    began = time.perf_counter()
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_for(
        lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"],
        lambda status: status == "InService",
    )
    return time.perf_counter() - began


def asked(server: Server, endpoints: int) -> list[float]:
    runtime = server.client("sagemaker-runtime")

    def ask(number: int) -> float:
        began = time.perf_counter()
        runtime.invoke_endpoint(
            EndpointName=f"endpoint-{number}", ContentType="text/csv", Body=",".join(["0.5"] * 10)
        )["Body"].read()
        return time.perf_counter() - began

    with ThreadPoolExecutor(1) as one:
        return list(one.map(ask, range(endpoints)))


if __name__ == "__main__":
    sys.exit(main())
