"""Where a run works: its clients, a role for SageMaker, and a bucket with the data; all of it deleted at the end."""

import gzip
import json
import random
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

DATA = Path(__file__).resolve().parent.parent / "data" / "census-employment"
CALLERS = 8
"""How many threads call the endpoint at once."""


@dataclass(frozen=True)
class Place:
    """Where this run works: its clients, and the names of what it made."""

    stem: str
    region: str
    bucket: str
    role_arn: str
    s3: Any
    logs: Any
    sagemaker: Any
    runtime: Any


def prepare(cleanup: ExitStack) -> Place:
    session = boto3.Session()
    iam, s3 = session.client("iam"), session.client("s3")
    account = session.client("sts").get_caller_identity()["Account"]
    stem = f"census-{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    bucket = f"{stem}-{account}"

    role_arn = create_role(iam, stem, bucket, cleanup)
    print(f"  role {role_arn}")
    # us-east-1 is the one region that a bucket may not name.
    elsewhere = {"LocationConstraint": session.region_name}
    s3.create_bucket(
        Bucket=bucket,
        **({} if session.region_name == "us-east-1" else {"CreateBucketConfiguration": elsewhere}),
    )
    cleanup.callback(delete_bucket, s3, bucket)
    print(f"  bucket {bucket}")
    return Place(
        stem=stem,
        region=session.region_name,
        bucket=bucket,
        role_arn=role_arn,
        s3=s3,
        logs=session.client("logs"),
        sagemaker=session.client("sagemaker"),
        runtime=session.client("sagemaker-runtime", config=Config(max_pool_connections=CALLERS)),
    )


def create_role(iam: Any, name: str, bucket: str, cleanup: ExitStack) -> str:
    """The role that SageMaker works as: it may touch this bucket, write logs and metrics, and pull images."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    images = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    allowed = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            },
            {"Effect": "Allow", "Action": ["logs:*", "cloudwatch:PutMetricData", *images], "Resource": "*"},
        ],
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    cleanup.callback(iam.delete_role, RoleName=name)
    iam.put_role_policy(RoleName=name, PolicyName="census", PolicyDocument=json.dumps(allowed))
    cleanup.callback(iam.delete_role_policy, RoleName=name, PolicyName="census")
    return str(role["Arn"])


def delete_bucket(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
        if keys:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    s3.delete_bucket(Bucket=bucket)
    print(f"  bucket {bucket} deleted")


def upload_census(place: Place) -> None:
    with gzip.open(DATA / "2015.csv.gz", "rt") as file:
        lines = file.readlines()
    random.Random(2015).shuffle(lines)
    cut = len(lines) * 8 // 10
    for channel, part in (("train", lines[:cut]), ("validation", lines[cut:])):
        place.s3.put_object(Bucket=place.bucket, Key=f"{channel}/census.csv", Body="".join(part).encode())
        print(f"  s3://{place.bucket}/{channel}/census.csv: {len(part):,} rows")
