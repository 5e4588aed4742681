"""Endpoints of many models: each found by its name at its first call, held as long as there is room."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from colonnade.kernel.errors import ServiceError
from colonnade.serving.hosted import container
from colonnade.serving.routes import Counters
from colonnade.statistics.sketch import Sketch

from .conftest import ROLE, SCIKIT_LEARN, XGBOOST, Bench, predicted, trained, until

NAMED = """
import os, pathlib

def model_fn(model_dir):
    name = pathlib.Path(model_dir, "name").read_text()
    if name == "broken":
        raise RuntimeError("no model")
    return name

def transform_fn(model, body, content_type, accept):
    if body == "pid":
        return str(os.getpid()), "text/plain"
    return f"{model} says {body}", "text/plain"
"""


def serve(bench: Bench, image: str = XGBOOST, *, count: int = 1, cache: str = "", **environment: str) -> None:
    described: dict[str, Any] = {
        "Image": image,
        "Mode": "MultiModel",
        "ModelDataUrl": "s3://models/many/",
        "Environment": environment,
    }
    if cache:
        described["MultiModelConfig"] = {"ModelCacheSetting": cache}
    bench.do("CreateModel", ModelName="many", PrimaryContainer=described, ExecutionRoleArn=ROLE)
    bench.config("many", {"ModelName": "many", "InitialInstanceCount": count})
    bench.endpoint("many", "many")
    bench.settled("many")


def scripts(bench: Bench, *names: str) -> None:
    for name in names:
        bench.upload(f"many/{name}.tar.gz", {"code/inference.py": NAMED, "name": name})


def ask(bench: Bench, target: str, body: bytes = b"hello") -> bytes:
    answer: bytes = bench.invoke("many", body, TargetModel=target)["Body"]
    return answer


def refusal(bench: Bench, **more: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        bench.invoke("many", b"1,2,3", **more)
    return refused.value


def totals(values: Sketch) -> tuple[float, float]:
    return values.sum, values.count


def noted(bench: Bench) -> Mapping[str, Any]:
    counted = Counters()
    for counters in bench.router.totals().values():
        counted.add(counters)
    return counted.models


def test_built_in_models_are_found_by_their_names_and_stay(bench: Bench, xgboost_model: bytes) -> None:
    other = trained(objective="reg:squarederror", max_depth="2")
    bench.upload("many/a.tar.gz", {"xgboost-model": xgboost_model})
    bench.upload("many/deep/er/b.tar.gz", {"xgboost-model": other})
    serve(bench)
    row = [0.1, 0.9, 0.4]

    for _ in range(3):
        assert float(ask(bench, "a.tar.gz", b"0.1,0.9,0.4")) == pytest.approx(
            predicted(xgboost_model, row), abs=1e-5
        )
    assert float(ask(bench, "deep/er/b.tar.gz", b"0.1,0.9,0.4")) == pytest.approx(
        predicted(other, row), abs=1e-5
    )

    assert bench.replicas() == []
    metrics = noted(bench)
    assert totals(metrics["ModelCacheHit"]) == (2.0, 4)
    assert metrics["ModelLoadingWaitTime"].count == 2
    assert metrics["ModelDownloadingTime"].count == 2
    assert metrics["ModelLoadingTime"].count == 2
    assert totals(metrics["LoadedModelCount"]) == (3.0, 2)
    (variant,) = bench.describe("many")["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 1


def test_names_that_lead_nowhere_are_refused(bench: Bench, xgboost_model: bytes) -> None:
    bench.upload("secret.tar.gz", {"xgboost-model": xgboost_model})
    bench.upload("many/nothing.tar.gz", {"readme": "no model"})
    serve(bench)

    assert refusal(bench).code == "ValidationError"
    assert "TargetModel is missing" in refusal(bench).message
    for target in ("../secret.tar.gz", "a/../../secret.tar.gz", "/secret.tar.gz"):
        assert refusal(bench, TargetModel=target).code == "ValidationError"
    absent = refusal(bench, TargetModel="absent.tar.gz")
    assert absent.code == "ValidationError"
    assert absent.message.startswith(
        "Failed to download model data(bucket: models, key: many/absent.tar.gz). Please ensure that there is an object"
    )
    unloadable = refusal(bench, TargetModel="nothing.tar.gz")
    assert (unloadable.code, unloadable.members["OriginalStatusCode"]) == ("ModelError", 500)
    assert "readme" in unloadable.message

    bench.upload("many/absent.tar.gz", {"xgboost-model": xgboost_model})
    assert ask(bench, "absent.tar.gz", b"1,2,3")


def test_an_endpoint_of_one_model_takes_no_target(bench: Bench, xgboost_model: bytes) -> None:
    bench.model("one", bench.upload("one.tar.gz", {"xgboost-model": xgboost_model}))
    bench.config("many", {"ModelName": "one"})
    bench.endpoint("many", "many")
    bench.settled("many")

    assert refusal(bench, TargetModel="a.tar.gz").code == "ValidationError"


def test_a_replaced_object_is_not_seen_until_the_endpoint_is_updated(bench: Bench) -> None:
    scripts(bench, "a")
    serve(bench, SCIKIT_LEARN)
    assert ask(bench, "a.tar.gz") == b"a says hello"

    bench.upload("many/a.tar.gz", {"code/inference.py": NAMED, "name": "new"})
    assert ask(bench, "a.tar.gz") == b"a says hello"

    bench.do("UpdateEndpoint", EndpointName="many", EndpointConfigName="many")
    bench.settled("many")
    assert ask(bench, "a.tar.gz") == b"new says hello"


def test_one_process_holds_many_models_with_code_of_their_own(bench: Bench) -> None:
    scripts(bench, "a", "b", "broken")
    serve(bench, SCIKIT_LEARN)

    assert ask(bench, "a.tar.gz") == b"a says hello"
    assert ask(bench, "b.tar.gz") == b"b says hello"
    assert ask(bench, "a.tar.gz", b"pid") == ask(bench, "b.tar.gz", b"pid")
    failed = refusal(bench, TargetModel="broken.tar.gz")

    assert failed.code == "ModelError"
    assert "RuntimeError: no model" in failed.message
    assert len(bench.replicas()) == 1
    metrics = noted(bench)
    assert metrics["ModelLoadingTime"].count == 2
    assert metrics["ModelCacheHit"].count == 5


def test_two_instances_share_the_models_between_them(bench: Bench) -> None:
    names = [f"m{number}" for number in range(12)]
    scripts(bench, *names)
    serve(bench, SCIKIT_LEARN, count=2)

    held = {name: ask(bench, f"{name}.tar.gz", b"pid") for name in names}
    again = {name: ask(bench, f"{name}.tar.gz", b"pid") for name in names}

    assert held == again
    assert len(set(held.values())) == 2


def test_a_killed_replica_loads_its_models_again_when_they_are_called(bench: Bench) -> None:
    scripts(bench, "a", "b")
    serve(bench, SCIKIT_LEARN)
    before = ask(bench, "a.tar.gz", b"pid")
    ask(bench, "b.tar.gz")

    os.kill(_outside(int(before)), signal.SIGKILL)

    assert ask(bench, "b.tar.gz") == b"b says hello"
    assert ask(bench, "a.tar.gz", b"pid") != before


def _outside(pid: int) -> int:
    """Works share the machine's process ids."""
    assert Path(f"/proc/{pid}").exists()
    return pid


def test_a_call_whose_model_takes_long_is_told_to_come_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = NAMED.replace(
        "def model_fn(model_dir):", "def model_fn(model_dir):\n    import time; time.sleep(2)"
    )
    bench.upload("many/slow.tar.gz", {"code/inference.py": slow, "name": "slow"})
    serve(bench, SCIKIT_LEARN)
    monkeypatch.setattr(container, "PATIENCE", 0.3)

    refused = refusal(bench, TargetModel="slow.tar.gz")

    assert (refused.code, refused.status) == ("ModelNotReadyException", 429)
    monkeypatch.undo()
    assert ask(bench, "slow.tar.gz") == b"slow says hello"
    assert noted(bench)["ModelLoadingTime"].count == 1


def test_without_caching_each_call_loads_anew(bench: Bench) -> None:
    scripts(bench, "a")
    serve(bench, SCIKIT_LEARN, cache="Disabled")

    for _ in range(3):
        assert ask(bench, "a.tar.gz") == b"a says hello"

    assert totals(noted(bench)["ModelCacheHit"]) == (0.0, 3)
    assert noted(bench)["ModelLoadingTime"].count == 3


def test_a_model_that_does_not_compile_is_held_by_a_process_that_comes_when_it_is_wanted(
    bench: Bench, xgboost_model: bytes
) -> None:
    odd = trained(objective="rank:pairwise")
    bench.upload("many/a.tar.gz", {"xgboost-model": xgboost_model})
    bench.upload("many/odd.tar.gz", {"xgboost-model": odd})
    serve(bench)
    ask(bench, "a.tar.gz", b"0.1,0.9,0.4")
    assert bench.replicas() == []

    answer = float(ask(bench, "odd.tar.gz", b"0.1,0.9,0.4"))

    assert answer == pytest.approx(predicted(odd, [0.1, 0.9, 0.4]), abs=1e-5)
    assert len(bench.replicas()) == 1
    assert ask(bench, "a.tar.gz", b"0.1,0.9,0.4")
    bench.do("DeleteEndpoint", EndpointName="many")
    bench.gone("many")
    until(lambda: bench.replicas() == [], "the process has ended")
    with bench.platform.store.read() as reader:
        assert reader.scan_types("sagemaker", "hosted-model") == []


def test_what_a_model_of_many_cannot_have_is_refused_by_name(bench: Bench) -> None:
    def create(**container: Any) -> ServiceError:
        with pytest.raises(ServiceError) as refused:
            bench.do(
                "CreateModel",
                ModelName="m",
                PrimaryContainer={"Image": XGBOOST, **container},
                ExecutionRoleArn=ROLE,
            )
        return refused.value

    assert "must be the S3 prefix" in create(Mode="MultiModel").message
    assert "Mode MultiModel" in create(MultiModelConfig={"ModelCacheSetting": "Enabled"}).message
