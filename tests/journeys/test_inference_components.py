"""Two teams' models share one endpoint's instances, as inference components, through boto3 and a crash of the server."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running
from journeys.team import SCIKIT_LEARN, XGBOOST, Team, wait_for

GREETING = """
def model_fn(model_dir):
    return "hello"

def transform_fn(model, body, content_type, accept):
    return f"{model} {body}", "text/csv"
"""


def packed(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def endpoint(team: Team) -> str:
    sagemaker, name = team.server.client("sagemaker"), team.name("shared")
    variant = {"VariantName": "AllTraffic", "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], ExecutionRoleArn=team.role
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
    return name


def component(team: Team, endpoint: str, name: str, what: dict[str, Any]) -> str:
    """In service, with one copy; its ARN."""
    sagemaker = team.server.client("sagemaker")
    compute = {"NumberOfCpuCoresRequired": 1, "MinMemoryRequiredInMb": 2048}
    arn: str = sagemaker.create_inference_component(
        InferenceComponentName=name,
        EndpointName=endpoint,
        VariantName="AllTraffic",
        Specification={**what, "ComputeResourceRequirements": compute},
        RuntimeConfig={"CopyCount": 1},
        Tags=[{"Key": "team", "Value": name}],
    )["InferenceComponentArn"]
    in_service(team.server, name)
    return arn


def in_service(server: Server, name: str) -> dict[str, Any]:
    sagemaker = server.client("sagemaker")
    described: dict[str, Any] = wait_for(
        lambda: sagemaker.describe_inference_component(InferenceComponentName=name),
        lambda seen: seen["InferenceComponentStatus"] not in ("Creating", "Updating"),
    )
    assert described["InferenceComponentStatus"] == "InService", described
    return described


def ask(server: Server, endpoint: str, component: str, body: str) -> str:
    answer = server.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, InferenceComponentName=component, ContentType="text/csv", Body=body
    )
    said: str = answer["Body"].read().decode()
    return said


def test_two_teams_share_an_endpoint_through_a_crash(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        team = Team(server).prepare()
        job = team.train()
        assert team.ended(job)["TrainingJobStatus"] == "Completed"
        model, name = team.model(job, XGBOOST), endpoint(team)
        code = team.put("greeting.tar.gz", packed({"code/inference.py": GREETING}))
        arn = component(team, name, "Scores", {"ModelName": model})
        component(team, name, "greets", {"Container": {"Image": SCIKIT_LEARN, "ArtifactUrl": code}})
        sagemaker = server.client("sagemaker")

        assert float(ask(server, name, "Scores", "0.9,0.1")) > 0.5
        assert ask(server, name, "greets", "you") == "hello you"
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "Scores"}]
        pages = sagemaker.get_paginator("list_inference_components").paginate(
            EndpointNameEquals=name, PaginationConfig={"PageSize": 1}
        )
        assert sorted(
            each["InferenceComponentName"] for page in pages for each in page["InferenceComponents"]
        ) == ["Scores", "greets"]
        with pytest.raises(ClientError, match="InferenceComponentName is missing"):
            server.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body="0.9,0.1")
        with pytest.raises(ClientError, match="hosts the inference components"):
            sagemaker.delete_endpoint(EndpointName=name)
        group = "/aws/sagemaker/InferenceComponents/greets"
        wait_for(
            lambda: server.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"], bool
        )
        server.kill()

    with running(tmp_path / "data") as server:
        assert float(ask(server, name, "Scores", "0.9,0.1")) > 0.5
        assert ask(server, name, "greets", "again") == "hello again"
        sagemaker = server.client("sagemaker")
        sagemaker.update_inference_component_runtime_config(
            InferenceComponentName="greets", DesiredRuntimeConfig={"CopyCount": 0}
        )
        assert in_service(server, "greets")["RuntimeConfig"]["CurrentCopyCount"] == 0
        with pytest.raises(ClientError, match="no capacity to process this request"):
            ask(server, name, "greets", "you")
        for each in ("Scores", "greets"):
            sagemaker.delete_inference_component(InferenceComponentName=each)
        wait_for(
            lambda: sagemaker.list_inference_components()["InferenceComponents"], lambda found: not found
        )
        with pytest.raises(ClientError, match="Could not find inference component"):
            sagemaker.describe_inference_component(InferenceComponentName="Scores")
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})
