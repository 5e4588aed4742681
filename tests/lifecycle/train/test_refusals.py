"""What CreateTrainingJob and its kin refuse, in which words."""

from __future__ import annotations

from typing import Any

import pytest

from colonnade.kernel.errors import ServiceError
from colonnade.testing.stage import ROLE, Stage

SOURCE = {"S3DataType": "S3Prefix", "S3Uri": "s3://data/none/"}
CHANNEL: dict[str, Any] = {"ChannelName": "train", "DataSource": {"S3DataSource": SOURCE}}
XGBOOST = {
    "TrainingImage": "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest",
    "TrainingInputMode": "File",
}


def refused(stage: Stage, **changed: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        stage.train(**changed)
    return caught.value


def test_an_unknown_image_is_told_which_are_known(stage: Stage) -> None:
    error = refused(stage, AlgorithmSpecification={"TrainingImage": "1.dkr.ecr.x.amazonaws.com/mine:1"})
    assert error.code == "ValidationException"
    assert "sagemaker-xgboost" in error.message


def test_a_role_that_cannot_be_assumed(stage: Stage) -> None:
    error = refused(stage, RoleArn=ROLE.replace("Trainer", "Missing"))
    assert error.message.startswith("Could not assume role arn:aws:iam::123456789012:role/Missing.")


def test_a_role_that_the_caller_may_not_pass(stage: Stage) -> None:
    error = refused(stage, RoleArn=ROLE.replace("Trainer", "Admin"))
    assert error.code == "AccessDeniedException"
    assert "iam:PassRole" in error.message


@pytest.mark.parametrize("bucket", ["data", "nobody", "forbidden"])
def test_a_channel_without_data(stage: Stage, bucket: str) -> None:
    source = SOURCE | {"S3Uri": f"s3://{bucket}/none/"}
    error = refused(stage, InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])
    assert error.code == "ValidationException"
    assert error.message == (
        f'No S3 objects found under S3 URL "s3://{bucket}/none/" given in input data source. Please ensure that the bucket '
        "exists in the selected region (us-east-1), that objects exist under that S3 prefix, and that the role "
        f'"{ROLE}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def test_a_name_that_is_taken(stage: Stage) -> None:
    stage.run_script("print('hi')")
    error = refused(stage)
    assert error.code == "ResourceInUse"
    assert error.message == (
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        "exists (arn:aws:sagemaker:us-east-1:123456789012:training-job/job-1)"
    )


def test_metric_definitions_of_a_built_in_algorithm(stage: Stage) -> None:
    definitions = [{"Name": "a", "Regex": "b"}]
    error = refused(stage, AlgorithmSpecification=XGBOOST | {"MetricDefinitions": definitions})
    assert error.message.startswith(
        "You can't override the metric definitions for Amazon SageMaker algorithms."
    )


def test_a_regex_that_is_none(stage: Stage) -> None:
    definitions = [{"Name": "a", "Regex": "("}]
    scripted = {"sagemaker_program": "a.py"}
    error = refused(
        stage, AlgorithmSpecification=XGBOOST | {"MetricDefinitions": definitions}, HyperParameters=scripted
    )
    assert "'('" in error.message


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}, "VpcConfig"),
        ({"EnableNetworkIsolation": True}, "EnableNetworkIsolation"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "InstanceCount"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "KeepAlivePeriodInSeconds": 60}}, "KeepAlive"),
        ({"AlgorithmSpecification": {"AlgorithmName": "a", "TrainingInputMode": "File"}}, "AlgorithmName"),
        ({"RetryStrategy": {"MaximumRetryAttempts": 2}}, "RetryStrategy"),
    ],
)
def test_what_is_not_built_is_named(stage: Stage, changed: dict[str, Any], text: str) -> None:
    error = refused(stage, **changed)
    assert (error.code, error.status) == ("NotImplementedException", 501)
    assert text in error.message


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"InputDataConfig": [CHANNEL, CHANNEL]}, "Channel names must be unique: train"),
        ({"InputDataConfig": [CHANNEL | {"CompressionType": "Gzip"}]}, "needs input mode Pipe"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        ({"StoppingCondition": {"MaxWaitTimeInSeconds": 5}}, "MaxWaitTimeInSeconds"),
        ({"CheckpointConfig": {"S3Uri": "s3://a/b", "LocalPath": "/opt/ml/../x"}}, "LocalPath"),
        ({"OutputDataConfig": {"S3OutputPath": "out"}}, "S3 URI out"),
    ],
)
def test_what_does_not_fit_together(stage: Stage, changed: dict[str, Any], text: str) -> None:
    error = refused(stage, **changed)
    assert error.code == "ValidationException"
    assert text in error.message


def test_stopping_a_finished_job_is_refused(stage: Stage) -> None:
    stage.run_script("print('hi')")
    stage.ended()
    with pytest.raises(ServiceError, match="because the training job is in status Completed") as caught:
        stage.call("StopTrainingJob", TrainingJobName="job-1")
    assert caught.value.code == "ValidationException"


def test_deleting_a_running_job_is_refused(stage: Stage) -> None:
    stage.run_script("import time; time.sleep(600)")
    with pytest.raises(ServiceError, match="in status InProgress"):
        stage.call("DeleteTrainingJob", TrainingJobName="job-1")


@pytest.mark.parametrize("operation", ["DescribeTrainingJob", "StopTrainingJob", "DeleteTrainingJob"])
def test_a_job_that_is_not_there(stage: Stage, operation: str) -> None:
    with pytest.raises(ServiceError, match=r"Requested resource not found\.") as caught:
        stage.call(operation, TrainingJobName="nobody")
    assert caught.value.code == "ValidationException"
