"""A team that works on a server: what journeys need again and again, with real boto3."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from colonnade.testing.server import Server

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
SCIKIT_LEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
BUCKET = "journeys"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@dataclass
class Team:
    """A bucket, a role that may use it, and a little data whose first column is the label."""

    server: Server
    role: str = ""
    names: Iterator[int] = field(default_factory=count)

    def prepare(self) -> Team:
        self.server.client("s3").create_bucket(Bucket=BUCKET)
        iam = self.server.client("iam")
        role = iam.create_role(RoleName="ml", AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.attach_role_policy(RoleName="ml", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
        self.role = role["Role"]["Arn"]
        self.put("points/points.csv", points(2000))
        return self

    def put(self, key: str, text: str | bytes) -> str:
        self.server.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text)
        return f"s3://{BUCKET}/{key}"

    def name(self, prefix: str) -> str:
        return f"{prefix}-{next(self.names)}"

    def train(self, uri: str = f"s3://{BUCKET}/points/", **changes: Any) -> str:
        """Start a training job of the built-in XGBoost, changed as told; answers its name."""
        name = self.name("job")
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
            "HyperParameters": {"objective": "binary:logistic", "num_round": "20", "eval_metric": "auc"},
            "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv", "DataSource": source}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.server.client("sagemaker").create_training_job(**request | changes)
        return name

    def ended(self, job: str) -> dict[str, Any]:
        """The job's description once it is Completed, Stopped or Failed."""
        sagemaker = self.server.client("sagemaker")
        until = ("Completed", "Stopped", "Failed")
        return wait_for(
            lambda: sagemaker.describe_training_job(TrainingJobName=job),
            lambda described: described["TrainingJobStatus"] in until,
        )

    def log(self, job: str) -> str:
        events = self.server.client("logs").filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job}/"
        )["events"]
        return "\n".join(event["message"] for event in events)

    def model(self, job: str, image: str = XGBOOST, environment: dict[str, str] | None = None) -> str:
        sagemaker = self.server.client("sagemaker")
        artefact = sagemaker.describe_training_job(TrainingJobName=job)["ModelArtifacts"]["S3ModelArtifacts"]
        name = self.name("model")
        container = {"Image": image, "ModelDataUrl": artefact, "Environment": environment or {}}
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer=container)
        return name

    def deploy(self, *models: str) -> str:
        """An endpoint with a variant for each model (A, B, ...), in service."""
        sagemaker = self.server.client("sagemaker")
        name = self.name("endpoint")
        variants = [
            {
                "VariantName": chr(ord("A") + index),
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
            for index, model in enumerate(models)
        ]
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        self.in_service(name)
        return name

    def in_service(self, endpoint: str) -> dict[str, Any]:
        sagemaker = self.server.client("sagemaker")
        described = wait_for(
            lambda: sagemaker.describe_endpoint(EndpointName=endpoint),
            lambda described: described["EndpointStatus"] in ("InService", "Failed"),
        )
        assert described["EndpointStatus"] == "InService", described.get("FailureReason")
        return described


def wait_for(look: Any, good: Any, *, deadline_seconds: float = 120) -> Any:
    """Look until what is seen is good."""
    deadline = time.monotonic() + deadline_seconds
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.05)
    return seen


def points(rows: int, seed: int = 7) -> str:
    """Label 1 where the first number is the larger one: easy, so that a model can be judged by its answers."""
    random_ = random.Random(seed)
    pairs = [(random_.random(), random_.random()) for _ in range(rows)]
    return "\n".join(f"{int(x > y)},{x:.6f},{y:.6f}" for x, y in pairs) + "\n"
