"""Models of several containers: calls that go through all of them, and calls that name one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from colonnade.kernel.errors import ServiceError

from .conftest import ROLE, SCIKIT_LEARN, XGBOOST, Bench, as_json, predicted, until

HALVES = """
def model_fn(model_dir):
    print("halves is up")
    return None

def transform_fn(model, body, content_type, accept):
    if body == "stop":
        raise ValueError("not a row")
    return ",".join(str(float(cell) / 2) for cell in body.split(",")), "text/csv"
"""
NAMES = """
import json

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return json.dumps({"score": float(body), "from": content_type, "accept": accept}), "application/json"
"""


def script(bench: Bench, name: str, code: str) -> Mapping[str, Any]:
    url = bench.upload(f"{name}.tar.gz", {"code/inference.py": code})
    return {"Image": SCIKIT_LEARN, "ModelDataUrl": url, "ContainerHostname": name}


def xgboost(bench: Bench, model: bytes, name: str = "score") -> Mapping[str, Any]:
    url = bench.upload(f"{name}.tar.gz", {"xgboost-model": model})
    return {"Image": XGBOOST, "ModelDataUrl": url, "ContainerHostname": name}


def serve(bench: Bench, *containers: Mapping[str, Any], mode: str = "Serial") -> None:
    bench.do(
        "CreateModel",
        ModelName="steps",
        Containers=list(containers),
        InferenceExecutionConfig={"Mode": mode},
        ExecutionRoleArn=ROLE,
    )
    bench.config("steps", {"ModelName": "steps"})
    bench.endpoint("steps", "steps")
    bench.settled("steps")


def refusal(bench: Bench, body: bytes, **more: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        bench.invoke("steps", body, **more)
    return refused.value


def test_a_call_goes_through_user_code_a_compiled_model_and_user_code(
    bench: Bench, xgboost_model: bytes
) -> None:
    serve(bench, script(bench, "halve", HALVES), xgboost(bench, xgboost_model), script(bench, "name", NAMES))

    answer = bench.invoke("steps", b"0.2,1.8,0.8", Accept="application/json")

    assert as_json(answer)["score"] == pytest.approx(predicted(xgboost_model, [0.1, 0.9, 0.4]), abs=1e-5)
    assert as_json(answer)["from"].startswith("text/csv")
    assert answer["ContentType"] == "application/json"
    (variant,) = bench.describe("steps")["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 1
    assert len(variant["DeployedImages"]) == 3
    until(
        lambda: "halves is up" in bench.logs.text("/aws/sagemaker/Endpoints/steps"), "the print is in the log"
    )
    assert {stream.rpartition("/")[2] for _, stream in bench.logs.streams} == {"halve", "name"}


def test_the_container_that_fails_is_named_and_the_others_go_on(bench: Bench, xgboost_model: bytes) -> None:
    serve(bench, script(bench, "halve", HALVES), xgboost(bench, xgboost_model))

    own = refusal(bench, b"stop")
    next_one = refusal(bench, b"1,2")

    assert own.message.startswith(
        'Received server error (500) from halve with message "ValueError: not a row"'
    )
    assert next_one.message.startswith("Received client error (4")
    assert "from score with message" in next_one.message
    assert bench.invoke("steps", b"1,2,3")["Body"]


def test_a_direct_call_reaches_the_container_it_names(bench: Bench, xgboost_model: bytes) -> None:
    serve(bench, script(bench, "halve", HALVES), xgboost(bench, xgboost_model), mode="Direct")

    halved = bench.invoke("steps", b"1,2,3", TargetContainerHostname="halve")
    scored = bench.invoke("steps", b"0.1,0.9,0.4", TargetContainerHostname="score")

    assert halved["Body"] == b"0.5,1.0,1.5"
    assert float(scored["Body"]) == pytest.approx(predicted(xgboost_model, [0.1, 0.9, 0.4]), abs=1e-5)
    assert refusal(bench, b"1").code == "ValidationError"
    assert "give one of halve, score" in refusal(bench, b"1", TargetContainerHostname="none").message


def test_a_container_that_does_not_come_up_fails_the_endpoint_by_its_name(bench: Bench) -> None:
    containers = [script(bench, "halve", HALVES), script(bench, "broken", "raise RuntimeError('no')")]
    bench.do("CreateModel", ModelName="steps", Containers=containers, ExecutionRoleArn=ROLE)
    bench.config("steps", {"ModelName": "steps"})
    bench.endpoint("steps", "steps")

    failed = bench.settled("steps", "Failed")

    assert failed["FailureReason"].startswith(
        "The broken container for production variant AllTraffic did not pass the ping health check."
    )
    until(lambda: bench.replicas() == [], "nothing is left running")
