"""Many models behind one endpoint, as a team with a model for each of its customers has them."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from journeys.team import BUCKET, SCIKIT_LEARN, XGBOOST, Team, wait_for

GREETING = """
import os, pathlib

def model_fn(model_dir):
    return pathlib.Path(model_dir, "name").read_text()

def transform_fn(model, body, content_type, accept):
    return f"{model},{os.getpid()}", "text/csv"
"""


def serve(team: Team, prefix: str, image: str) -> str:
    sagemaker = team.server.client("sagemaker")
    name = team.name("many")
    container = {"Image": image, "Mode": "MultiModel", "ModelDataUrl": f"s3://{BUCKET}/{prefix}/"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=team.role, PrimaryContainer=container)
    return team.deploy(name)


def runtime(team: Team) -> Any:
    """With a connection for each of several threads, so that both workers are asked."""
    return team.server.client("sagemaker-runtime", config=Config(max_pool_connections=8))


def ask(client: Any, endpoint: str, target: str, body: str = "0.9,0.1") -> str:
    """As AWS tells clients to: again, while the model is loading."""
    deadline = time.monotonic() + 180
    while True:
        try:
            answer = client.invoke_endpoint(
                EndpointName=endpoint, TargetModel=target, ContentType="text/csv", Body=body
            )
        except client.exceptions.ModelNotReadyException:
            assert time.monotonic() < deadline
            continue
        said: str = answer["Body"].read().decode()
        return said


def counted(team: Team, endpoint: str) -> Mapping[str, float]:
    """This endpoint's metrics, over all workers."""
    found: dict[str, float] = {}
    with urlopen(f"{team.server.url}/_colonnade/metrics", timeout=30) as answer:
        for line in answer.read().decode().splitlines():
            if f'endpoint="{endpoint}"' in line:
                name = line.partition("{")[0]
                found[name] = found.get(name, 0.0) + float(line.rpartition(" ")[2])
    return found


def test_a_hundred_customers_models_answer_and_a_killed_worker_finds_them_again(team: Team) -> None:
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    s3 = team.server.client("s3")
    artefact = {"Bucket": BUCKET, "Key": f"output/{job}/output/model.tar.gz"}
    targets = [f"customer-{number}/model.tar.gz" for number in range(100)]
    for target in targets:
        s3.copy_object(Bucket=BUCKET, Key=f"customers/{target}", CopySource=artefact)
    endpoint, client = serve(team, "customers", XGBOOST), runtime(team)

    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(lambda target: ask(client, endpoint, target), targets))
        again = list(pool.map(lambda target: ask(client, endpoint, target), targets))
        metrics = wait_for(  # a worker that is busy leaves its report to the next asking
            lambda: counted(team, endpoint),
            lambda seen: (
                seen.get("colonnade_model_cache_hits_count", 0) >= 200
                and seen.get("colonnade_loaded_models", 0) >= 100
            ),
        )
        workers = [pid for name, pid in team.server.pids().items() if name.startswith("worker")]
        assert workers[0] is not None
        os.kill(workers[0], signal.SIGKILL)
        after = list(pool.map(lambda target: ask(client, endpoint, target), targets))

    assert len({*first, *again, *after}) == 1
    assert float(first[0]) > 0.5
    assert 0 < metrics["colonnade_model_cache_hits_sum"] < metrics["colonnade_model_cache_hits_count"]
    assert metrics["colonnade_model_loading_seconds_count"] >= 100


def test_scripts_models_come_and_go_in_one_process(team: Team) -> None:
    for name in ("ann", "bob"):
        team.put(f"scripts/{name}.tar.gz", packed({"code/inference.py": GREETING, "name": name}))
    endpoint, client = serve(team, "scripts", SCIKIT_LEARN), runtime(team)

    ann, process = ask(client, endpoint, "ann.tar.gz").split(",")
    assert (ann, ask(client, endpoint, "bob.tar.gz")) == ("ann", f"bob,{process}")
    with pytest.raises(ClientError) as refused:
        ask(client, endpoint, "../scripts/ann.tar.gz")
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError) as missing:
        ask(client, endpoint, "cleo.tar.gz")
    assert "Failed to download model data" in missing.value.response["Error"]["Message"]
    team.put("scripts/cleo.tar.gz", packed({"code/inference.py": GREETING, "name": "cleo"}))
    assert ask(client, endpoint, "cleo.tar.gz") == f"cleo,{process}"

    os.kill(int(process), signal.SIGKILL)
    name, other = ask(client, endpoint, "ann.tar.gz").split(",")
    assert name == "ann"
    assert other != process

    sagemaker = team.server.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=endpoint)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=endpoint, WaiterConfig={"Delay": 1})
    wait_for(lambda: Path(f"/proc/{other}").exists(), lambda alive: not alive)


def packed(files: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()
