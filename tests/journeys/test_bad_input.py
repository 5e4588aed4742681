"""What goes wrong says what, where and what to do about it, and nothing is lost or half done."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from botocore.exceptions import ClientError

from journeys.team import BUCKET, Team, points


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def test_a_malformed_row_is_named_by_file_and_line(team: Team) -> None:
    rows = points(50).splitlines()
    rows[30] = "1,0.5,abc"
    team.put("broken/part-2.csv.gz", gzip.compress("\n".join(rows).encode()))
    team.put("broken/part-1.csv", points(50))

    described = team.ended(team.train(f"s3://{BUCKET}/broken/"))

    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: ")
    for detail in ("part-2.csv.gz", "31", "abc"):
        assert detail in described["FailureReason"]
    assert "ModelArtifacts" not in described or not described["ModelArtifacts"].get("S3ModelArtifacts")


def test_a_wrong_hyperparameter_is_named_with_its_range(team: Team) -> None:
    job = team.train(HyperParameters={"num_round": "5", "subsample": "1.5"})
    described = team.ended(job)
    assert described["TrainingJobStatus"] == "Failed"
    assert "subsample" in described["FailureReason"]
    assert "1.5" in described["FailureReason"]
    assert "subsample" in team.log(job)


def test_a_channel_without_objects_is_refused_before_anything_starts(team: Team) -> None:
    code, message = refusal(team.train, uri=f"s3://{BUCKET}/nothing/here")
    assert code == "ValidationException"
    assert f'No S3 objects found under S3 URL "s3://{BUCKET}/nothing/here"' in message


def test_an_image_that_nobody_can_run_is_refused_with_those_that_can(team: Team) -> None:
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/mxnet-training:1.9"
    code, message = refusal(
        team.train, AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"}
    )
    assert code == "ValidationException"
    for name in ("mxnet-training", "sagemaker-xgboost", "sagemaker-scikit-learn"):
        assert name in message


def test_a_name_is_taken_once(team: Team) -> None:
    job = team.train()
    code, message = refusal(team.train, TrainingJobName=job)
    assert code == "ResourceInUse"
    assert message.startswith("Training job names must be unique within an AWS account and region")
    assert team.ended(job)["TrainingJobStatus"] == "Completed"


def test_constraints_of_the_model_are_checked_by_the_server(team: Team) -> None:
    code, message = refusal(team.train, TrainingJobName="no_underscores")
    assert code == "ValidationException"
    assert message.startswith(
        "1 validation error detected: Value 'no_underscores' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: "
    )


def test_model_data_that_is_not_there_is_named(team: Team) -> None:
    sagemaker = team.server.client("sagemaker")
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
    uri = f"s3://{BUCKET}/no/model.tar.gz"
    code, message = refusal(
        sagemaker.create_model,
        ModelName="absent-data",
        ExecutionRoleArn=team.role,
        PrimaryContainer={"Image": image, "ModelDataUrl": uri},
    )
    assert code == "ValidationException"
    assert uri in message
    assert refusal(sagemaker.describe_model, ModelName="absent-data")[0] == "ValidationException"


def test_an_endpoint_that_is_not_there_is_a_validation_error_of_the_runtime(team: Team) -> None:
    runtime = team.server.client("sagemaker-runtime")
    code, message = refusal(
        runtime.invoke_endpoint, EndpointName="nowhere", Body=b"1,2", ContentType="text/csv"
    )
    assert (code, message) == ("ValidationError", "Endpoint nowhere of account 123456789012 not found.")


def test_an_operation_that_nobody_wrote_says_so_by_name(team: Team) -> None:
    code, message = refusal(team.server.client("sagemaker").list_hyper_parameter_tuning_jobs)
    assert code == "NotImplementedException"
    assert "sagemaker:ListHyperParameterTuningJobs" in message


def test_predictions_of_rows_that_do_not_fit_are_the_clients_mistake(team: Team) -> None:
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    endpoint = team.deploy(team.model(job))
    runtime = team.server.client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ModelError) as error:
        runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body="0.1,0.2,0.3")
    told = error.value.response
    assert told["OriginalStatusCode"] == 400
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert "Received client error (400) from primary with message" in told["Error"]["Message"]
    assert f"/aws/sagemaker/Endpoints/{endpoint}" in told["Error"]["Message"]
