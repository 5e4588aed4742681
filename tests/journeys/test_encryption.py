"""A model trained from encrypted data, written under a key of the team's, and served: only for who may use the key."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from botocore.exceptions import ClientError

from journeys.team import BUCKET, Team, points


@pytest.fixture(scope="module")
def key(team: Team) -> str:
    return str(team.server.client("kms").create_key(Description="the team's")["KeyMetadata"]["Arn"])


def allow(team: Team, key: str) -> None:
    statement = {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    team.server.client("iam").put_role_policy(RoleName="ml", PolicyName="key", PolicyDocument=document)


def forbid(team: Team) -> None:
    team.server.client("iam").delete_role_policy(RoleName="ml", PolicyName="key")


def output(key: str) -> dict[str, str]:
    return {"S3OutputPath": f"s3://{BUCKET}/secret", "KmsKeyId": key}


def test_a_model_is_trained_written_and_served_under_a_key(team: Team, key: str) -> None:
    s3 = team.server.client("s3")
    s3.put_object(
        Bucket=BUCKET,
        Key="hidden/points.csv",
        Body=points(2000),
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
    )
    allow(team, key)
    try:
        job = team.train(f"s3://{BUCKET}/hidden/", OutputDataConfig=output(key))
        described = team.ended(job)
        assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
        assert described["OutputDataConfig"]["KmsKeyId"] == key
        artefact = f"secret/{job}/output/model.tar.gz"
        got = s3.get_object(Bucket=BUCKET, Key=artefact)
        assert (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms", key)
        with tarfile.open(fileobj=io.BytesIO(got["Body"].read())) as archive:
            assert archive.getnames()

        endpoint = team.deploy(team.model(job))
        runtime = team.server.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body="0.9,0.1")
        assert float(answer["Body"].read()) > 0.5
    finally:
        forbid(team)


def test_a_job_whose_role_may_not_use_the_key_fails_and_says_so(team: Team, key: str) -> None:
    described = team.ended(team.train(OutputDataConfig=output(key)))

    assert described["TrainingJobStatus"] == "Failed"
    assert "kms:GenerateDataKey" in described["FailureReason"]
    assert key in described["FailureReason"]


def test_encrypted_inputs_are_refused_to_a_role_without_the_key(team: Team, key: str) -> None:
    s3 = team.server.client("s3")
    s3.put_object(
        Bucket=BUCKET,
        Key="shut/points.csv",
        Body=points(100),
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
    )

    described = team.ended(team.train(f"s3://{BUCKET}/shut/"))

    assert described["TrainingJobStatus"] == "Failed"
    assert "kms:Decrypt" in described["FailureReason"]


def test_volumes_with_keys_are_refused_with_a_remedy(team: Team, key: str) -> None:
    resources = {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 1,
        "VolumeKmsKeyId": key,
    }

    with pytest.raises(ClientError, match="encrypt that"):
        team.train(ResourceConfig=resources)
