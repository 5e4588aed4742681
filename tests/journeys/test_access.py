"""A second user with one policy may invoke one endpoint and do nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from journeys.team import BUCKET, Team


@pytest.fixture(scope="module")
def endpoints(team: Team) -> tuple[str, str]:
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    model = team.model(job)
    return team.deploy(model), team.deploy(model)


def keys_of(team: Team, user: str, policy: dict[str, Any]) -> dict[str, str]:
    iam = team.server.client("iam")
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def only_invoke(team: Team, endpoint: str) -> dict[str, Any]:
    described = team.server.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": described["EndpointArn"]}
        ],
    }


def refused(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return str(error.value.response["Error"]["Code"])


def test_one_policy_opens_one_endpoint_and_nothing_else(team: Team, endpoints: tuple[str, str]) -> None:
    mine, other = endpoints
    ann = keys_of(team, "ann", only_invoke(team, mine))
    runtime = team.server.client("sagemaker-runtime", **ann)
    row = {"ContentType": "text/csv", "Body": "0.8,0.2"}

    answer = runtime.invoke_endpoint(EndpointName=mine, **row)
    assert float(answer["Body"].read()) > 0.5

    assert refused(runtime.invoke_endpoint, EndpointName=other, **row) == "AccessDeniedException"
    sagemaker = team.server.client("sagemaker", **ann)
    assert refused(sagemaker.describe_endpoint, EndpointName=mine) == "AccessDeniedException"
    assert refused(sagemaker.delete_endpoint, EndpointName=mine) == "AccessDeniedException"
    assert refused(team.server.client("s3", **ann).list_buckets) == "AccessDenied"
    assert refused(team.server.client("iam", **ann).list_users) == "AccessDenied"
    assert team.server.client("sts", **ann).get_caller_identity()["Arn"].endswith(":user/ann")


def test_a_withdrawn_policy_holds_with_the_next_call_in_every_worker(
    team: Team, endpoints: tuple[str, str]
) -> None:
    mine, _ = endpoints
    ben = keys_of(team, "ben", only_invoke(team, mine))
    row = {"EndpointName": mine, "ContentType": "text/csv", "Body": "0.8,0.2"}
    for _ in range(10):
        team.server.client("sagemaker-runtime", **ben).invoke_endpoint(**row)

    team.server.client("iam").delete_user_policy(UserName="ben", PolicyName="only")

    # A client of its own each time: new connections reach all workers sooner or later.
    for _ in range(20):
        assert (
            refused(team.server.client("sagemaker-runtime", **ben).invoke_endpoint, **row)
            == "AccessDeniedException"
        )


def test_a_job_reads_only_what_its_role_may_read(team: Team) -> None:
    iam = team.server.client("iam")
    trust = iam.get_role(RoleName="ml")["Role"]["AssumeRolePolicyDocument"]
    role = iam.create_role(RoleName="narrow", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    with pytest.raises(ClientError) as error:
        team.train(RoleArn=role)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    assert '"s3:ListBucket" permissions' in error.value.response["Error"]["Message"]


def test_a_role_that_sagemaker_may_not_assume_is_refused_by_name(team: Team) -> None:
    absent = team.role.replace("/ml", "/nobody")
    with pytest.raises(ClientError, match=f"Could not assume role {absent}") as error:
        team.train(RoleArn=absent)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_policy_may_open_one_folder_of_a_bucket_and_a_deny_names_itself(team: Team) -> None:
    folder = {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{BUCKET}",
        "Condition": {"StringLike": {"s3:prefix": "points/*"}},
    }
    closed = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}
    cleo = keys_of(team, "cleo", {"Version": "2012-10-17", "Statement": [folder, closed]})
    s3 = team.server.client("s3", **cleo)

    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="points/")["KeyCount"] == 1
    assert refused(s3.list_objects_v2, Bucket=BUCKET) == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket=BUCKET, Prefix="output/") == "AccessDenied"
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        s3.get_object(Bucket=BUCKET, Key="points/points.csv")
