"""Inference components: models that share the instances of one variant, with copies of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest

from colonnade.kernel.errors import ServiceError

from .conftest import ROLE, SCIKIT_LEARN, XGBOOST, Bench, predicted, until

import_module("colonnade.lifecycle.deploy.inference_component.operations")
import_module("colonnade.lifecycle.deploy.inference_component.reconciler")

SAYS = """
import os

def model_fn(model_dir):
    if {broken}:
        raise RuntimeError("no model")
    return "{word}"

def transform_fn(model, body, content_type, accept):
    return f"{{model}},{{os.getpid()}}", "text/plain"
"""


def code(word: str, *, broken: bool = False) -> str:
    return SAYS.format(word=word, broken=broken)


@pytest.fixture
def shared(bench: Bench) -> Bench:
    """An endpoint of two instances (2 CPU cores and 8,192 MB each) for components."""
    variant = {"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
    bench.do(
        "CreateEndpointConfig",
        EndpointConfigName="shared",
        ProductionVariants=[variant],
        ExecutionRoleArn=ROLE,
    )
    bench.endpoint("shared", "shared")
    bench.settled("shared")
    return bench


def script(bench: Bench, name: str, word: str, *, broken: bool = False) -> dict[str, Any]:
    url = bench.upload(f"{name}-{word}.tar.gz", {"code/inference.py": code(word, broken=broken)})
    return specification({"Container": {"Image": SCIKIT_LEARN, "ArtifactUrl": url}})


def specification(what: Mapping[str, Any], *, mib: int = 1024, cpus: float = 0.5) -> dict[str, Any]:
    return {
        **what,
        "ComputeResourceRequirements": {"NumberOfCpuCoresRequired": cpus, "MinMemoryRequiredInMb": mib},
    }


def create(bench: Bench, name: str, given: Mapping[str, Any], copies: int = 1) -> None:
    bench.do(
        "CreateInferenceComponent",
        InferenceComponentName=name,
        EndpointName="shared",
        VariantName="AllTraffic",
        Specification=given,
        RuntimeConfig={"CopyCount": copies},
    )


def describe(bench: Bench, name: str) -> Mapping[str, Any]:
    return bench.do("DescribeInferenceComponent", InferenceComponentName=name)


def settled(bench: Bench, name: str, status: str = "InService") -> Mapping[str, Any]:
    until(
        lambda: describe(bench, name)["InferenceComponentStatus"] not in ("Creating", "Updating"),
        f"{name} settles",
    )
    described = describe(bench, name)
    assert described["InferenceComponentStatus"] == status, described
    return described


def ask(bench: Bench, name: str, body: bytes = b"x") -> str:
    answered: bytes = bench.invoke("shared", body, InferenceComponentName=name)["Body"]
    return answered.decode()


def word(bench: Bench, name: str) -> str:
    return ask(bench, name).split(",")[0]


def refusal(bench: Bench, operation: str, **parameters: Any) -> str:
    with pytest.raises(ServiceError) as refused:
        bench.do(operation, **parameters)
    return refused.value.message


def gone(bench: Bench, name: str) -> None:
    bench.do("DeleteInferenceComponent", InferenceComponentName=name)

    def missing() -> bool:
        try:
            describe(bench, name)
        except ServiceError as error:
            return error.message.startswith("Could not find inference component")
        return False

    until(missing, f"{name} is gone")


def test_components_of_both_kinds_answer_by_their_names(shared: Bench, xgboost_model: bytes) -> None:
    url = shared.upload("score.tar.gz", {"xgboost-model": xgboost_model})
    shared.model("score", url)
    create(shared, "Score", specification({"ModelName": "score"}))
    create(shared, "says", script(shared, "says", "hello"), copies=2)
    described = settled(shared, "Score")
    settled(shared, "says")

    assert float(ask(shared, "Score", b"0.1,0.9,0.4")) == pytest.approx(
        predicted(xgboost_model, [0.1, 0.9, 0.4]), abs=1e-5
    )
    assert {ask(shared, "says").split(",")[0] for _ in range(4)} == {"hello"}
    assert len({ask(shared, "says") for _ in range(6)}) == 2
    assert described["RuntimeConfig"] == {"DesiredCopyCount": 1, "CurrentCopyCount": 1}
    assert described["Specification"]["ModelName"] == "score"
    image = describe(shared, "says")["Specification"]["Container"]["DeployedImage"]
    assert image["SpecifiedImage"] == SCIKIT_LEARN
    assert described["EndpointArn"].endswith(":endpoint/shared")
    assert shared.describe("shared")["EndpointStatus"] == "InService"

    with pytest.raises(ServiceError, match="InferenceComponentName is missing"):
        shared.invoke("shared", b"x")
    with pytest.raises(ServiceError, match="Inference component nobody of endpoint shared not found"):
        ask(shared, "nobody")


def test_copies_go_to_zero_and_come_back(shared: Bench) -> None:
    create(shared, "says", script(shared, "says", "hello"))
    settled(shared, "says")

    def copies(count: int) -> Mapping[str, Any]:
        shared.do(
            "UpdateInferenceComponentRuntimeConfig",
            InferenceComponentName="says",
            DesiredRuntimeConfig={"CopyCount": count},
        )
        return settled(shared, "says")

    assert copies(0)["RuntimeConfig"] == {"DesiredCopyCount": 0, "CurrentCopyCount": 0}
    until(lambda: shared.replicas() == [], "no copy runs")
    with pytest.raises(ServiceError, match="has no capacity to process this request") as refused:
        ask(shared, "says")
    assert refused.value.code == "ValidationError"

    assert copies(2)["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}
    assert word(shared, "says") == "hello"
    assert len(shared.replicas()) == 2


def test_what_does_not_fit_fails_and_says_what_there_is(shared: Bench) -> None:
    create(shared, "half", script(shared, "half", "half") | {"ComputeResourceRequirements": compute(5000)})
    settled(shared, "half")

    create(shared, "big", script(shared, "big", "big") | {"ComputeResourceRequirements": compute(4000)}, 3)
    failed = settled(shared, "big", "Failed")
    assert "has no room for 3 copies of 1 CPU cores and 4000 MB" in failed["FailureReason"]
    assert "2 of ml.m5.large with 2 CPU cores and 8192 MB each" in failed["FailureReason"]
    gone(shared, "big")
    create(shared, "big", script(shared, "big", "big") | {"ComputeResourceRequirements": compute(4000)}, 2)
    settled(shared, "big")


def compute(mib: int) -> dict[str, Any]:
    return {"NumberOfCpuCoresRequired": 1.0, "MinMemoryRequiredInMb": mib}


def test_scaling_beyond_the_instances_leaves_what_serves(shared: Bench) -> None:
    create(shared, "says", script(shared, "says", "hello"), copies=1)
    settled(shared, "says")

    shared.do(
        "UpdateInferenceComponentRuntimeConfig",
        InferenceComponentName="says",
        DesiredRuntimeConfig={"CopyCount": 9},
    )
    described = settled(shared, "says")

    assert described["RuntimeConfig"] == {"DesiredCopyCount": 1, "CurrentCopyCount": 1}
    assert "has no room for 9 copies" in described["FailureReason"]
    assert word(shared, "says") == "hello"


def test_an_update_loses_no_call(shared: Bench) -> None:
    create(shared, "says", script(shared, "says", "old"))
    settled(shared, "says")

    with ThreadPoolExecutor(3) as pool:
        stop: list[bool] = []

        def keep_asking() -> set[str]:
            heard = set()
            while not stop:
                heard.add(word(shared, "says"))
            return heard

        asked = [pool.submit(keep_asking) for _ in range(3)]
        shared.do(
            "UpdateInferenceComponent",
            InferenceComponentName="says",
            Specification=script(shared, "says", "new"),
        )
        settled(shared, "says")
        until(lambda: word(shared, "says") == "new", "the new one answers")
        stop.append(True)
        heard = [future.result(60) for future in asked]

    assert {each for said in heard for each in said} == {"old", "new"}
    until(lambda: len(shared.replicas()) == 1, "the old copy has gone")


def test_an_update_that_does_not_come_up_leaves_the_old_one(shared: Bench) -> None:
    create(shared, "says", script(shared, "says", "old"))
    settled(shared, "says")

    shared.do(
        "UpdateInferenceComponent",
        InferenceComponentName="says",
        Specification=script(shared, "says", "broken", broken=True),
    )
    described = settled(shared, "says")

    assert "did not pass the ping health check" in described["FailureReason"]
    assert word(shared, "says") == "old"


def test_a_killed_copy_is_replaced(shared: Bench) -> None:
    create(shared, "says", script(shared, "says", "hello"))
    settled(shared, "says")
    _, process = ask(shared, "says").split(",")

    os.kill(int(process), signal.SIGKILL)

    said, other = ask(shared, "says").split(",")
    assert (said, other != process) == ("hello", True)


def test_a_component_that_goes_leaves_the_endpoint_of_its_name_alone(shared: Bench) -> None:
    shared.upload("many/a.tar.gz", {"code/inference.py": code("hello")})
    container = {"Image": SCIKIT_LEARN, "Mode": "MultiModel", "ModelDataUrl": "s3://models/many/"}
    shared.do("CreateModel", ModelName="twin", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    shared.config("twin", {"ModelName": "twin"})
    shared.endpoint("twin", "twin")
    shared.settled("twin")
    before = shared.invoke("twin", b"x", TargetModel="a.tar.gz")["Body"]
    create(shared, "twin", script(shared, "twin", "other"))
    settled(shared, "twin")

    gone(shared, "twin")

    assert shared.invoke("twin", b"x", TargetModel="a.tar.gz")["Body"] == before
    with shared.platform.store.read() as reader:
        assert len(reader.scan_types("sagemaker", "hosted-model")) == 1


def test_an_endpoint_in_use_is_not_deleted_nor_made_too_small(shared: Bench) -> None:
    create(shared, "says", script(shared, "says", "hello"), copies=8)
    settled(shared, "says")

    assert "hosts the inference components says" in refusal(shared, "DeleteEndpoint", EndpointName="shared")
    assert "have no room for the inference components" in refusal(
        shared,
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="shared",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}],
    )
    gone(shared, "says")
    assert shared.replicas() == []
    shared.do("DeleteEndpoint", EndpointName="shared")
    shared.gone("shared")


def test_lists_are_filtered(shared: Bench) -> None:
    for name in ("one", "two"):
        create(shared, name, script(shared, name, name), copies=0)
        settled(shared, name)

    def listed(**filters: Any) -> list[str]:
        found = shared.do("ListInferenceComponents", **filters)["InferenceComponents"]
        return sorted(each["InferenceComponentName"] for each in found)

    assert listed() == ["one", "two"]
    assert listed(EndpointNameEquals="shared", VariantNameEquals="AllTraffic") == ["one", "two"]
    assert listed(EndpointNameEquals="other") == []
    assert listed(NameContains="tw", StatusEquals="InService") == ["two"]


def test_what_is_not_served_is_refused_by_name(shared: Bench) -> None:
    def create_with(**changes: Any) -> str:
        given: dict[str, Any] = {
            "InferenceComponentName": "c",
            "EndpointName": "shared",
            "VariantName": "AllTraffic",
            "Specification": specification({"Container": {"Image": XGBOOST}}),
            "RuntimeConfig": {"CopyCount": 1},
        }
        return refusal(shared, "CreateInferenceComponent", **given | changes)

    base = {"BaseInferenceComponentName": "llm"}
    assert "BaseInferenceComponentName" in create_with(Specification=specification(base))
    assert "either a ModelName or a Container" in create_with(Specification=specification({}))
    assert "no variant Blue" in create_with(VariantName="Blue")
    assert "Could not find endpoint" in create_with(EndpointName="nowhere")
    assert "Could not find model" in create_with(Specification=specification({"ModelName": "nothing"}))
    managed = {
        "VariantName": "v",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {"Status": "ENABLED"},
    }
    assert "ManagedInstanceScaling" in refusal(
        shared,
        "CreateEndpointConfig",
        EndpointConfigName="m",
        ProductionVariants=[managed],
        ExecutionRoleArn=ROLE,
    )
