"""Batch transform beside the model's own prediction in memory: the same rows, the same model, the same machine, in turns.

    python benchmarks/transform.py [rows]

In memory is what a data scientist would write: pandas reads the CSV, a DMatrix is made of it, Booster.predict answers with every
core. The job does all of this as well, and besides reads from S3, writes a line for each row, and stores the object.
"""

from __future__ import annotations

import gzip
import io
import json
import statistics
import sys
import tarfile
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import xgboost  # noqa: E402

from colonnade.testing.server import Server, running  # noqa: E402
from journeys.team import BUCKET, Team, wait_for  # noqa: E402

ROWS, TURNS = 1_000_000, 3
CENSUS = TOP / "examples" / "data" / "census-employment"
ENDED = ("Completed", "Failed", "Stopped")


def figures(server: Server, team: Team, rows: int = ROWS) -> dict[str, Any]:
    labelled = gzip.decompress((CENSUS / "2015.csv.gz").read_bytes())
    body = _unlabelled(rows)
    team.put("census/train.csv", labelled)
    team.put("census-rows/rows.csv", body)
    job = team.train(
        f"s3://{BUCKET}/census/",
        HyperParameters={"objective": "binary:logistic", "num_round": "100", "max_depth": "6", "eta": "0.2"},
    )
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    booster, model = _booster(server, job), team.model(job)
    turns = []
    for turn in range(TURNS):
        alone, scores = _in_memory(booster, body)
        taken = _transform(server, model, f"transform-{rows}-{turn}")
        _check(server, f"transform-{rows}-{turn}", scores)
        turns.append({**alone, **taken})
    return _summary(rows, turns)


def _summary(rows: int, turns: list[dict[str, float]]) -> dict[str, Any]:
    """The turn in the middle by what is asked first: how near the job comes to prediction in memory."""
    for turn in turns:
        turn["of_parse_and_predict"] = round((turn["parse_s"] + turn["predict_s"]) / turn["job_s"], 2)
        turn["of_parse_and_predict_from_the_call"] = round(
            (turn["parse_s"] + turn["predict_s"]) / turn["from_the_call_s"], 2
        )
        turn["of_predict"] = round(turn["predict_s"] / turn["job_s"], 2)
    middle = sorted(turns, key=lambda turn: turn["of_parse_and_predict"])[len(turns) // 2]
    return {
        "rows": rows,
        "rows_per_second": round(rows / middle["job_s"]),
        "rows_per_second_from_the_call": round(rows / middle["from_the_call_s"]),
        "rows_per_second_in_memory": round(rows / (middle["parse_s"] + middle["predict_s"])),
        "rows_per_second_in_memory_parsed": round(rows / middle["predict_s"]),
        **middle,
        "ratios": [turn["of_parse_and_predict"] for turn in turns],
        "spread": round(statistics.pstdev([turn["of_parse_and_predict"] for turn in turns]), 2),
    }


def report(found: dict[str, Any]) -> list[str]:
    per_second = {
        "a transform job, from TransformStartTime to TransformEndTime": "rows_per_second",
        "the same, from the call": "rows_per_second_from_the_call",
        "in memory: pandas, DMatrix, predict": "rows_per_second_in_memory",
        "in memory, parsed before: DMatrix, predict": "rows_per_second_in_memory_parsed",
    }
    base = found["rows_per_second_in_memory"]
    lines = ["", f"| {found['rows']:,} CSV rows | of in memory | rows/s |", "|---|--:|--:|"]
    return lines + [
        f"| {name} | {found[key] / base:.2f} | {found[key]:,} |" for name, key in per_second.items()
    ]


def _unlabelled(rows: int) -> bytes:
    held = [
        line.partition(b",")[2]
        for year in (2015, 2016, 2017, 2018)
        for line in gzip.decompress((CENSUS / f"{year}.csv.gz").read_bytes()).splitlines()
    ]
    return b"\n".join(islice(cycle(held), rows)) + b"\n"


def _booster(server: Server, job: str) -> xgboost.Booster:
    described = server.client("sagemaker").describe_training_job(TrainingJobName=job)
    key = described["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    data = server.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile("xgboost-model")
        assert file is not None
        return xgboost.Booster(model_file=bytearray(file.read()))


def _in_memory(booster: xgboost.Booster, body: bytes) -> tuple[dict[str, float], Any]:
    began = time.perf_counter()
    matrix = pd.read_csv(io.BytesIO(body), header=None).to_numpy(np.float32)
    parsed = time.perf_counter()
    # A matrix of its own each time: the booster remembers what it said of one that it has seen.
    scores = booster.predict(xgboost.DMatrix(matrix))
    return {"parse_s": round(parsed - began, 3), "predict_s": round(time.perf_counter() - parsed, 3)}, scores


def _transform(server: Server, model: str, name: str) -> dict[str, float]:
    sagemaker = server.client("sagemaker")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/census-rows/"}}
    began = time.time()
    sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=model,
        TransformInput={"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        TransformOutput={
            "S3OutputPath": f"s3://{BUCKET}/scores/{name}",
            "Accept": "text/csv",
            "AssembleWith": "Line",
        },
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    described = wait_for(
        lambda: sagemaker.describe_transform_job(TransformJobName=name),
        lambda found: found["TransformJobStatus"] in ENDED,
    )
    assert described["TransformJobStatus"] == "Completed", described.get("FailureReason")
    start, end = (described[f"Transform{moment}Time"].timestamp() for moment in ("Start", "End"))
    return {"job_s": round(end - start, 3), "from_the_call_s": round(end - began, 3)}


def _check(server: Server, name: str, scores: Any) -> None:
    """It is no figure unless the answers are the booster's."""
    answer = server.client("s3").get_object(Bucket=BUCKET, Key=f"scores/{name}/rows.csv.out")["Body"].read()
    found = np.array(answer.split(), dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(found, scores)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with (
        tempfile.TemporaryDirectory(prefix="colonnade-transform-") as folder,
        running(Path(folder)) as server,
    ):
        print(json.dumps(figures(server, Team(server).prepare(), rows), indent=2))


if __name__ == "__main__":
    main()
