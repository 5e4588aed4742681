"""Two training jobs: a built-in algorithm, which is only configured, and a script of our own, which is sent along."""

import io
import json
import sys
import tarfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from .job_log import followed
from .place import Place

SCRIPT_FOLDER = Path(__file__).resolve().parent.parent / "census_sklearn"

# The registry that AWS serves us-east-1 from. Another region has another account in front.
REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
XGBOOST_IMAGE = f"{REGISTRY}/sagemaker-xgboost:1.7-1"
SKLEARN_IMAGE = f"{REGISTRY}/sagemaker-scikit-learn:1.2-1-cpu-py3"


def xgboost_job(place: Place) -> dict[str, Any]:
    return {
        **job_basics(place, f"{place.stem}-xgboost"),
        "AlgorithmSpecification": {"TrainingImage": XGBOOST_IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {
            "objective": "binary:logistic",
            "eval_metric": "auc",
            "num_round": "100",
            "max_depth": "6",
            "eta": "0.2",
            "subsample": "0.8",
            "seed": "1",
        },
    }


def sklearn_job(place: Place) -> dict[str, Any]:
    # In script mode every value is JSON in a string, as the SageMaker SDK sends it.
    hyperparameters = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": script_uri(place),
        "sagemaker_region": place.region,
        "inverse-regularization": 1.0,
        "max-iter": 200,
    }
    return {
        **job_basics(place, f"{place.stem}-sklearn"),
        "AlgorithmSpecification": {
            "TrainingImage": SKLEARN_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "validation:auc", "Regex": r"validation-auc=([0-9.]+)"}],
        },
        "HyperParameters": {name: json.dumps(value) for name, value in hyperparameters.items()},
    }


def job_basics(place: Place, name: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "RoleArn": place.role_arn,
        "InputDataConfig": [channel(place, "train"), channel(place, "validation")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{place.bucket}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
    }


def channel(place: Place, name: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{place.bucket}/{name}/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def upload_script(place: Place) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("train.py", "requirements.txt"):
            tar.add(SCRIPT_FOLDER / name, arcname=name)
    place.s3.put_object(Bucket=place.bucket, Key="code/sourcedir.tar.gz", Body=archive.getvalue())
    print(f"  {script_uri(place)}")


def script_uri(place: Place) -> str:
    return f"s3://{place.bucket}/code/sourcedir.tar.gz"


def train(place: Place, request: dict[str, Any], cleanup: ExitStack) -> dict[str, Any]:
    """Run the job to its end, its log in our output; returns its description."""
    name = request["TrainingJobName"]
    create_training_job(place.sagemaker, request)
    cleanup.callback(stop_unless_ended, place.sagemaker, name)
    print(f"  {name} started")
    waiter = place.sagemaker.get_waiter("training_job_completed_or_stopped")
    try:
        with followed(place.logs, name):
            waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 1800})
    except WaiterError as error:
        last = error.last_response
        sys.exit(f"{name} is {last.get('TrainingJobStatus')}: {last.get('FailureReason', error)}")
    job = place.sagemaker.describe_training_job(TrainingJobName=name)
    print(f"  {name} {job['TrainingJobStatus']}: {job['ModelArtifacts']['S3ModelArtifacts']}")
    return dict(job)


def create_training_job(sagemaker: Any, request: dict[str, Any]) -> None:
    """AWS takes some seconds to know a new role everywhere; until then it says that it cannot assume it."""
    patience = time.monotonic() + 30
    while True:
        try:
            sagemaker.create_training_job(**request)
            return
        except ClientError as error:
            if "assume" not in str(error) or time.monotonic() > patience:
                raise
        time.sleep(2)


def stop_unless_ended(sagemaker: Any, name: str) -> None:
    if sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress":
        sagemaker.stop_training_job(TrainingJobName=name)


def final_auc(job: dict[str, Any]) -> float:
    """The last validation:auc that the job reported; not a number where it reported none."""
    metrics = {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}
    return float(metrics.get("validation:auc", "nan"))
