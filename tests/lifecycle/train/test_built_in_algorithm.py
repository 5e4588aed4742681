"""SageMaker's built-in XGBoost as a training job: same request, same log, same model file."""

from __future__ import annotations

import random
from typing import Any

from colonnade.testing.stage import Stage

IMAGE = {
    "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
    "TrainingInputMode": "File",
}


def table(rows: int, seed: int) -> bytes:
    chance = random.Random(seed)
    lines = []
    for _ in range(rows):
        x, y = chance.random(), chance.random()
        lines.append(f"{int(x > y)},{x:.4f},{y:.4f}")
    return "\n".join(lines).encode()


def channel(name: str, mode: str = "File") -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://data/{name}/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {
        "ChannelName": name,
        "ContentType": "text/csv",
        "InputMode": mode,
        "DataSource": {"S3DataSource": source},
    }


def boost(stage: Stage, name: str = "job-1", mode: str = "File", **hyperparameters: str) -> None:
    stage.storage.objects.setdefault(("data", "train/a.csv"), table(200, 1))
    stage.storage.objects.setdefault(("data", "validation/a.csv"), table(100, 2))
    stage.train(
        name,
        AlgorithmSpecification=IMAGE,
        InputDataConfig=[channel("train", mode), channel("validation", mode)],
        HyperParameters={"objective": "binary:logistic", "num_round": "5", "eval_metric": "auc"}
        | hyperparameters,
    )


def test_it_trains_and_tells_its_metrics(stage: Stage) -> None:
    boost(stage)
    boost(stage, "piped", "Pipe")
    for name in ("job-1", "piped"):
        job = stage.ended(name)
        assert job["TrainingJobStatus"] == "Completed", (job, stage.printed(name))
        metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
        assert set(metrics) == {"train:auc", "validation:auc"}
        assert metrics["validation:auc"] > 0.9
        assert list(stage.archive(f"models/{name}/output/model.tar.gz")) == ["xgboost-model"]
    assert stage.printed()[0].startswith("xgboost ")
    assert "1.7-1" in stage.printed()[0]


def test_wrong_hyperparameters_are_the_clients_error(stage: Stage) -> None:
    boost(stage, "wrong", eta="7")
    boost(stage, "extra", no_such="1")
    assert stage.ended("wrong")["FailureReason"] == "ClientError: Hyperparameter eta: 7.0 is not in [0, 1]"
    assert stage.ended("extra")["FailureReason"].startswith(
        "ClientError: Extraneous hyperparameter found: no_such"
    )


def test_malformed_data_is_told_with_its_place(stage: Stage) -> None:
    stage.storage.objects["data", "train/a.csv"] = b"1,2,3\n0,abc,4\n"
    boost(stage)
    reason = stage.ended()["FailureReason"]
    assert reason.startswith("ClientError: ")
    assert "line 2" in reason
    assert "abc" in reason
