"""Colonnade in full dress: a signed request of a role that may invoke this one endpoint and nothing else, authorised, sent to one of
two variants at random, counted in the metrics, and captured where data capture is there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contenders import _MARK, TOP, Running

sys.path[:0] = [str(TOP / "benchmarks"), str(TOP / "tests")]

from replay import Keys, signed  # noqa: E402

from colonnade.testing.server import Server, running  # noqa: E402
from journeys.team import BUCKET, XGBOOST, Team, wait_for  # noqa: E402

ENDPOINT = "census"
_CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 1,
    "DestinationS3Uri": f"s3://{BUCKET}/captured",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
}


@contextmanager
def started(
    folder: Path,
    archive: bytes,
    rows: Sequence[str],
    *,
    cores: set[int],
    workers: int = 1,
    capture: bool = False,
) -> Iterator[Running]:
    mark = f"{os.getpid()}-ours-{workers}-{time.monotonic_ns()}"
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # inherited by the server
    os.environ[_MARK] = mark
    try:
        serving = running(folder, "--workers", str(workers))
        server = serving.__enter__()
    finally:
        os.sched_setaffinity(0, before)
        del os.environ[_MARK]
    try:
        deploy(server, archive, capture=capture)
        keys = invoker(server)
        port = int(server.url.rpartition(":")[2])
        yield Running(port, mark, lambda: requests(keys, rows))
    finally:
        serving.__exit__(None, None, None)


def deploy(server: Server, archive: bytes, *, capture: bool) -> None:
    team = Team(server).prepare()
    url = team.put("census/model.tar.gz", archive)
    sagemaker = server.client("sagemaker")
    for name in ("A", "B"):
        container = {"Image": XGBOOST, "ModelDataUrl": url}
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=team.role, PrimaryContainer=container)
    variants = [
        {"VariantName": name, "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        for name in ("A", "B")
    ]
    capturing: Mapping[str, Any] = {"DataCaptureConfig": _CAPTURE} if capture else {}
    sagemaker.create_endpoint_config(EndpointConfigName=ENDPOINT, ProductionVariants=variants, **capturing)
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT)
    described = wait_for(
        lambda: sagemaker.describe_endpoint(EndpointName=ENDPOINT),
        lambda seen: seen["EndpointStatus"] in ("InService", "Failed"),
    )
    assert described["EndpointStatus"] == "InService", described["FailureReason"]


class Session(Keys):
    """Keys of a role's session: they come with a token."""

    token: str = ""


def invoker(server: Server) -> tuple[Keys, str]:
    """Keys and token of a role that may invoke the endpoint."""
    iam = server.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    may = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sagemaker:InvokeEndpoint",
                "Resource": f"arn:aws:sagemaker:*:*:endpoint/{ENDPOINT}",
            }
        ],
    }
    role = iam.create_role(RoleName="invoker", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="invoker", PolicyName="may", PolicyDocument=json.dumps(may))
    found = server.client("sts").assume_role(RoleArn=role, RoleSessionName="benchmark")["Credentials"]
    keys = Keys(server.url, server.region, found["AccessKeyId"], found["SecretAccessKey"])
    return keys, found["SessionToken"]


def requests(keys: tuple[Keys, str], rows: Sequence[str]) -> list[bytes]:
    """Signed now; a signature holds for some minutes."""
    pair, token = keys
    headers = {"Content-Type": "text/csv", "X-Amz-Security-Token": token}
    path = f"/endpoints/{ENDPOINT}/invocations"
    return [signed(pair, "sagemaker", "POST", path, row.encode(), dict(headers)) for row in rows]
