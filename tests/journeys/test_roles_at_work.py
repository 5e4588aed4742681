"""A script that uses boto3 acts as its job's role: with what the role may do, and nothing more."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from journeys.team import BUCKET, Team
from journeys.test_crash import script

ACTING = f"""
import os
import boto3
from botocore.exceptions import ClientError
print("acting as", boto3.client("sts").get_caller_identity()["Arn"])
s3 = boto3.client("s3")
s3.put_object(Bucket="{BUCKET}", Key="from-the-script", Body=b"written by the job")
try:
    boto3.client("iam").list_users()
except ClientError as error:
    print("users:", error.response["Error"]["Code"])
open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w").write("trained")
"""


def test_boto3_in_a_training_script_acts_as_the_jobs_role(team: Team) -> None:
    job = script(team, ACTING)
    described = team.ended(job)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    log = team.log(job)
    assert ":assumed-role/ml/" in log
    assert "users: AccessDenied" in log
    written = team.server.client("s3").get_object(Bucket=BUCKET, Key="from-the-script")["Body"].read()
    assert written == b"written by the job"


def test_nobody_gets_a_works_credentials_without_its_token(team: Team) -> None:
    url = f"{team.server.url}/_colonnade/work-credentials/job-1"
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(url, headers={"Authorization": "guess"}))
    assert refused.value.code == 403
    assert json.loads(refused.value.read())["code"] == "AccessDenied"
