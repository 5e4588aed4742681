"""Serverless endpoints, with real boto3: nothing runs while nobody calls, and calls bring up what they need."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from colonnade.testing.server import running
from crash.killing import processes
from journeys.team import Team, wait_for
from journeys.test_asynchronous import script_model

IDLE = "2"
TELLING = """
import os, time

def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    text = body if isinstance(body, str) else body.decode()
    if text.startswith("sleep "):
        time.sleep(float(text[6:]))
    if text.startswith("large "):
        return "x" * int(text[6:]), "text/plain"
    if text.startswith("take "):
        try:
            return str(len(bytearray(int(text[5:])))), "text/plain"
        except MemoryError:
            return "MemoryError", "text/plain"
    return str(os.getpid()), "text/plain"
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """On a server that lets endpoints rest soon."""
    variables = {"COLONNADE_SERVERLESS_IDLE_SECONDS": IDLE}
    with running(tmp_path_factory.mktemp("serverless") / "data", variables=variables) as server:
        yield Team(server).prepare()


def serverless(team: Team, model: str, **config: int) -> str:
    name = team.name("serverless")
    sagemaker = team.server.client("sagemaker")
    variant = {
        "VariantName": "A",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 3, **config},
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    team.in_service(name)
    return name


def call(team: Team, endpoint: str, body: str, content_type: str = "text/plain") -> str:
    """Without retries, which boto3 makes when it is throttled."""
    runtime = team.server.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}))
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType=content_type)
    text: str = answer["Body"].read().decode()
    return text


def works(team: Team, endpoint: str) -> set[str]:
    """The replicas that run for it."""
    id = _id(team, endpoint)
    return {each.work for each in processes(team.server.data) if each.work.startswith(f"endpoint-{id}-")}


def _id(team: Team, endpoint: str) -> str:
    from colonnade.kernel.store import Key
    from colonnade.kernel.store.sqlite import SqliteStore

    store = SqliteStore(team.server.data / "store.db")
    try:
        with store.read() as reader:
            stored = reader.get(Key("aws", "123456789012", "us-east-1", "sagemaker", "Endpoint", endpoint))
        assert stored is not None
        return str(stored.document["_id"])
    finally:
        store.close()


def metrics(team: Team, metric: str, endpoint: str) -> list[float]:
    with urlopen(f"{team.server.url}/_colonnade/metrics") as answer:
        lines = answer.read().decode().splitlines()
    place = f'endpoint="{endpoint}",variant="A",metric="{metric}"'
    return [float(line.rpartition(" ")[2]) for line in lines if place in line and "_count" in line]


def test_an_idle_endpoint_has_no_process_and_the_first_call_brings_one_up(team: Team) -> None:
    endpoint = serverless(team, script_model(team, TELLING))
    described = team.server.client("sagemaker").describe_endpoint(EndpointName=endpoint)[
        "ProductionVariants"
    ][0]
    assert described["CurrentServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 3}
    assert "CurrentInstanceCount" not in described
    wait_for(lambda: works(team, endpoint), lambda seen: not seen)
    assert call(team, endpoint, "who").isdecimal()
    assert len(works(team, endpoint)) == 1
    assert metrics(team, "ModelSetupTime", endpoint) == [1.0]
    wait_for(lambda: works(team, endpoint), lambda seen: not seen)
    assert call(team, endpoint, "who").isdecimal()
    assert metrics(team, "ModelSetupTime", endpoint) == [2.0]


def test_parallel_calls_bring_up_more_processes(team: Team) -> None:
    endpoint = serverless(team, script_model(team, TELLING), MaxConcurrency=2)
    with ThreadPoolExecutor(2) as callers:
        two = [callers.submit(call, team, endpoint, "sleep 5") for _ in range(2)]
        wait_for(lambda: len(works(team, endpoint)), lambda seen: seen == 2)
        assert all(each.result().isdecimal() for each in two)


def test_more_calls_at_a_time_than_its_bound_are_throttled(team: Team) -> None:
    endpoint = serverless(team, script_model(team, TELLING), MaxConcurrency=1)

    def outcome(body: str) -> str:
        try:
            return call(team, endpoint, body)
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(1) as caller:
        long = caller.submit(wait_for, lambda: outcome("sleep 5"), str.isdecimal)
        wait_for(lambda: outcome("who"), lambda said: said == "ThrottlingException")
        assert long.result().isdecimal()
    wait_for(lambda: outcome("who"), str.isdecimal)


def test_a_compiled_model_is_loaded_when_it_is_called(team: Team) -> None:
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    endpoint = serverless(team, team.model(job))
    for _ in range(3):
        assert 0.0 <= float(call(team, endpoint, "0.9,0.1", "text/csv")) <= 1.0
    assert works(team, endpoint) == set()


def test_bodies_have_their_bounds_and_processes_their_memory(team: Team) -> None:
    endpoint = serverless(team, script_model(team, TELLING))
    most = 4 * 1024 * 1024
    for body in ("x" * (most + 1), f"large {most + 1}"):
        with pytest.raises(ClientError) as refused:
            call(team, endpoint, body)
        assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert call(team, endpoint, "take 1000000") == "1000000"
    assert call(team, endpoint, f"take {2 * 1024**3}") == "MemoryError"


def test_the_configuration_of_a_running_endpoint_can_be_changed(team: Team) -> None:
    model = script_model(team, TELLING)
    endpoint = serverless(team, model)
    sagemaker = team.server.client("sagemaker")
    change = {
        "VariantName": "A",
        "ServerlessUpdateConfig": {"MaxConcurrency": 5, "ProvisionedConcurrency": 2},
    }
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[change]
    )
    described = team.in_service(endpoint)["ProductionVariants"][0]
    assert described["CurrentServerlessConfig"]["ProvisionedConcurrency"] == 2
    wait_for(lambda: len(works(team, endpoint)), lambda seen: seen == 2)
    direct = team.deploy(model)
    with pytest.raises(ClientError) as refused:
        sagemaker.update_endpoint(EndpointName=direct, EndpointConfigName=endpoint)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=direct)
    assert team.in_service(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, "1024, 2048"),
        (
            {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1, "ProvisionedConcurrency": 2}},
            "must not be larger",
        ),
        ({"InitialInstanceCount": 1}, "InitialInstanceCount"),
        ({"InstanceType": "ml.m5.large"}, "InstanceType"),
    ],
)
def test_what_serverless_variants_cannot_have_is_refused(
    team: Team, changes: dict[str, Any], said: str
) -> None:
    variant = {
        "VariantName": "A",
        "ModelName": script_model(team, TELLING),
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
        **changes,
    }
    with pytest.raises(ClientError) as refused:
        team.server.client("sagemaker").create_endpoint_config(
            EndpointConfigName=team.name("refused"), ProductionVariants=[variant]
        )
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert said in refused.value.response["Error"]["Message"]
