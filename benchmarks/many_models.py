"""A thousand models behind one endpoint: the first call of each, the later ones, and what they take of memory.

    python benchmarks/many_models.py [--models 1000] [--distinct 4] [--calls 3000] [--threads 4]

Trains `distinct` small XGBoost models, puts them under `models` keys, and calls each once, then any of them at random, and beside that
an endpoint of one such model in the same run: the ratio is what a model's name costs. Conversions are by content, so only
`distinct` of the first calls wait for one.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from botocore.config import Config

from colonnade.testing.server import Server, running

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "sagemaker.amazonaws.com"}}]}'
)
BUCKET, ROW = "many", ",".join(["0.5"] * 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("models", 1000), ("distinct", 4), ("calls", 3000), ("threads", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as server:
        targets = prepare(server, asked.models, asked.distinct)
        client = server.client(
            "sagemaker-runtime", config=Config(max_pool_connections=asked.threads, retries={"mode": "legacy"})
        )

        def many(target: str) -> None:
            call(client, "many", TargetModel=target)

        before = memory(server)
        for target in targets[: asked.distinct]:
            measure(f"conversion and first call of {target}", many, [target], 1)
        measure("first calls", many, targets[asked.distinct :], asked.threads)
        after = memory(server)
        later, one = alternate(client, random.Random(1).choices(targets, k=asked.calls), asked.threads)
        print(f"later calls: p50 {later:.2f} ms, {later / one:.2f} of those of an endpoint of one model")
        print(
            f"memory: {(after - before) / len(targets) / 1024:.0f} KB a model, all workers ({after >> 20} MB now)"
        )


def prepare(server: Server, models: int, distinct: int) -> list[str]:
    """Both endpoints in service; the targets of the first."""
    s3, iam, sagemaker = (server.client(name) for name in ("s3", "iam", "sagemaker"))
    s3.create_bucket(Bucket=BUCKET)
    role = iam.create_role(RoleName="many", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="many", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    archives = [trained(seed) for seed in range(distinct)]
    targets = [f"model-{number}.tar.gz" for number in range(models)]
    for number, target in enumerate(targets):
        s3.put_object(Bucket=BUCKET, Key=f"models/{target}", Body=archives[number % distinct])
    serve(sagemaker, "many", role, {"Mode": "MultiModel", "ModelDataUrl": f"s3://{BUCKET}/models/"})
    serve(sagemaker, "one", role, {"ModelDataUrl": f"s3://{BUCKET}/models/{targets[0]}"})
    return targets


def trained(seed: int) -> bytes:
    features = np.random.default_rng(seed).random((500, 10), dtype=np.float32)
    data = xgboost.DMatrix(features, (features[:, 0] > features[:, 1]).astype(np.float32))
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": seed}, data, 20
    )
    saved, stream = bytes(booster.save_raw("json")), io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo("xgboost-model")
        entry.size = len(saved)
        archive.addfile(entry, io.BytesIO(saved))
    return stream.getvalue()


def serve(sagemaker: Any, name: str, role: str, container: dict[str, str]) -> None:
    sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE, **container}
    )
    variant = {
        "VariantName": "A",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})


def call(client: Any, endpoint: str, **more: str) -> None:
    client.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=ROW, **more)["Body"].read()


def alternate(client: Any, targets: Sequence[str], threads: int) -> tuple[float, float]:
    """The medians of many models and of one, asked in turns so that the machine's mood is the same for both."""

    def both(target: str) -> tuple[float, float]:
        began = time.perf_counter()
        call(client, "many", TargetModel=target)
        between = time.perf_counter()
        call(client, "one")
        return between - began, time.perf_counter() - between

    with ThreadPoolExecutor(threads) as pool:
        many, one = zip(*pool.map(both, targets), strict=True)
    return 1000 * statistics.median(many), 1000 * statistics.median(one)


def measure(what: str, work: Callable[[str], None], targets: Sequence[str], threads: int) -> None:
    """Print how long the calls took."""

    def timed(target: str) -> float:
        began = time.perf_counter()
        work(target)
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        times = sorted(pool.map(timed, targets))
    wall = time.perf_counter() - began
    median, tail = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
    print(f"{what}: {len(times)} in {wall:.1f} s, p50 {median:.1f} ms, p99 {tail:.1f} ms")


def memory(server: Server) -> int:
    """Bytes of all workers, shared pages counted once for each."""
    pids = [pid for name, pid in server.pids().items() if name.startswith("worker") and pid]
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
