"""Endpoints from creation to deletion, with real models and real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from colonnade.kernel.errors import ServiceError
from colonnade.lifecycle.deploy.endpoint import routes
from colonnade.serving import artifacts

from .conftest import (
    ACCOUNT,
    REGION,
    SCIKIT_LEARN,
    Bench,
    as_json,
    described_variants,
    predicted,
    trained,
    until,
)

WHO = """
import os

def model_fn(model_dir):
    return "WORD"

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    if data == "crash":
        os._exit(9)
    if data == "fault":
        raise ValueError("no such row")
    return {"pid": os.getpid(), "model": model}
"""


def who(word: str = "one") -> str:
    return WHO.replace("WORD", word)


def test_a_trained_xgboost_model_is_compiled_and_answers_as_xgboost_does(
    bench: Bench, xgboost_model: bytes
) -> None:
    bench.model("census", bench.upload("census.tar.gz", {"xgboost-model": xgboost_model}))
    bench.config("census", {"ModelName": "census", "InitialInstanceCount": 2})
    bench.endpoint("Census", "census")

    described = bench.settled("census")
    answer = bench.invoke("Census", b"0.1,0.9,0.4")

    assert float(answer["Body"]) == pytest.approx(predicted(xgboost_model, [0.1, 0.9, 0.4]), abs=1e-5)
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/csv", "AllTraffic")
    assert bench.invoke("Census", b"")["Body"] == b""
    assert described["EndpointArn"] == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/census"
    (variant,) = described["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 2
    assert variant["DeployedImages"][0]["SpecifiedImage"].endswith("sagemaker-xgboost:1.7-1")
    assert "PendingDeploymentSummary" not in described
    assert bench.replicas() == []


def test_a_second_endpoint_of_the_same_model_compiles_nothing(bench: Bench, xgboost_model: bytes) -> None:
    bench.model("census", bench.upload("census.tar.gz", {"xgboost-model": xgboost_model}))
    bench.config("census", {"ModelName": "census"})
    bench.endpoint("first", "census")
    bench.settled("first")
    started: list[str] = []
    start = bench.executor.start
    bench.executor.start = lambda work: (started.append(work.id), start(work))[1]  # type: ignore[method-assign]

    bench.endpoint("second", "census")
    bench.settled("second")

    assert started == []


def test_a_script_answers_from_a_process_of_its_own_and_its_prints_go_to_the_log(bench: Bench) -> None:
    bench.script_model("who", 'print("loading")\n' + who())
    bench.config("who", {"ModelName": "who"})
    bench.endpoint("Who", "who")
    bench.settled("who")

    answer = bench.invoke("who", b"hello")

    assert as_json(answer)["model"] == "one"
    assert as_json(answer)["pid"] != os.getpid()
    until(lambda: "loading" in bench.logs.text("/aws/sagemaker/Endpoints/Who"), "the print is in the log")
    assert all(stream.startswith("AllTraffic/i-") for _, stream in bench.logs.streams)


def test_an_error_in_user_code_is_a_model_error_with_the_status_and_the_text(bench: Bench) -> None:
    bench.script_model("who", who())
    bench.config("who", {"ModelName": "who"})
    bench.endpoint("who", "who")
    bench.settled("who")

    with pytest.raises(ServiceError) as refused:
        bench.invoke("who", b"fault")

    assert (refused.value.code, refused.value.status) == ("ModelError", 424)
    assert refused.value.message.startswith(
        'Received server error (500) from primary with message "ValueError: no such row"'
    )
    assert refused.value.members["OriginalStatusCode"] == 500
    assert refused.value.members["OriginalMessage"] == "ValueError: no such row"
    assert refused.value.members["LogStreamArn"] == (
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/who"
    )


@pytest.mark.parametrize("count", [1, 2])
def test_replicas_killed_under_load_cost_no_call(bench: Bench, count: int) -> None:
    bench.script_model("who", who())
    bench.config("who", {"ModelName": "who", "InitialInstanceCount": count})
    bench.endpoint("who", "who")
    bench.settled("who")

    async def load() -> tuple[set[int], int]:
        seen: set[int] = set()
        first = as_json(await bench.ask("who", b"x"))["pid"]
        answered = 0

        async def client() -> None:
            nonlocal answered
            # Until the replacement of the one that was killed has answered, and then some.
            while len(seen) < count + 1 or answered < 400:
                seen.add(as_json(await bench.ask("who", b"x"))["pid"])
                answered += 1

        clients = [asyncio.create_task(client()) for _ in range(8)]
        while answered < 100:
            await asyncio.sleep(0.01)
        os.kill(first, signal.SIGKILL)
        await asyncio.gather(*clients)
        return seen, answered

    seen, answered = bench.on_loop(load())

    assert len(seen) == count + 1
    assert answered >= 400


def test_a_request_that_kills_its_replica_twice_is_answered_by_a_model_error(bench: Bench) -> None:
    bench.script_model("who", who())
    bench.config("who", {"ModelName": "who"})
    bench.endpoint("who", "who")
    bench.settled("who")

    with pytest.raises(ServiceError, match="ended while it worked on this request, twice"):
        bench.invoke("who", b"crash")

    assert as_json(bench.invoke("who", b"x"))["model"] == "one"


def test_weights_decide_the_variant_and_a_target_overrides_them(bench: Bench) -> None:
    for word in ("one", "two"):
        bench.script_model(word, who(word))
    bench.config(
        "both",
        {"VariantName": "a", "ModelName": "one", "InitialVariantWeight": 1.0},
        {"VariantName": "b", "ModelName": "two", "InitialVariantWeight": 0.0},
    )
    bench.endpoint("both", "both")
    bench.settled("both")

    assert {bench.invoke("both", b"x")["InvokedProductionVariant"] for _ in range(20)} == {"a"}
    assert as_json(bench.invoke("both", b"x", TargetVariant="b"))["model"] == "two"
    with pytest.raises(ServiceError, match="Variant c of endpoint both not found"):
        bench.invoke("both", b"x", TargetVariant="c")


def test_new_weights_and_counts_are_taken_without_restarting_what_runs(bench: Bench) -> None:
    for word in ("one", "two"):
        bench.script_model(word, who(word))
    bench.config("both", {"VariantName": "a", "ModelName": "one"}, {"VariantName": "b", "ModelName": "two"})
    bench.endpoint("both", "both")
    bench.settled("both")
    before = as_json(bench.invoke("both", b"x", TargetVariant="b"))["pid"]

    bench.do(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="both",
        DesiredWeightsAndCapacities=[
            {"VariantName": "a", "DesiredWeight": 0.0, "DesiredInstanceCount": 2},
            {"VariantName": "b", "DesiredWeight": 3.0},
        ],
    )
    described = described_variants(bench.settled("both"))

    assert (described["a"]["CurrentWeight"], described["b"]["CurrentWeight"]) == (0.0, 3.0)
    assert described["a"]["CurrentInstanceCount"] == 2
    assert {as_json(bench.invoke("both", b"x"))["pid"] for _ in range(20)} == {before}
    assert len(bench.replicas()) == 3


def test_an_update_switches_to_the_new_model_and_removes_the_old_replicas(bench: Bench) -> None:
    for word in ("one", "two"):
        bench.script_model(word, who(word))
        bench.config(word, {"ModelName": word})
    bench.endpoint("who", "one")
    bench.settled("who")
    (old,) = bench.replicas()
    words: list[str] = []

    async def watch() -> None:
        while "two" not in words:
            words.append(as_json(await bench.ask("who", b"x"))["model"])

    watching = asyncio.run_coroutine_threadsafe(watch(), bench.loop)
    bench.do("UpdateEndpoint", EndpointName="who", EndpointConfigName="two")
    with pytest.raises(ServiceError, match=r'Cannot update in-progress endpoint "arn:.*endpoint/who"'):
        bench.do("UpdateEndpoint", EndpointName="who", EndpointConfigName="one")
    described = bench.settled("who")
    watching.result(60)

    assert described["EndpointConfigName"] == "two"
    assert sorted(set(words)) == ["one", "two"]
    until(lambda: old not in bench.replicas(), "the old replica is gone")
    assert as_json(bench.invoke("who", b"x"))["model"] == "two"


def test_an_update_that_does_not_come_up_leaves_the_old_model_serving(bench: Bench) -> None:
    bench.script_model("good", who())
    bench.script_model("bad", 'raise RuntimeError("no wheels on this one")')
    for word in ("good", "bad"):
        bench.config(word, {"ModelName": word})
    bench.endpoint("who", "good")
    bench.settled("who")

    bench.do("UpdateEndpoint", EndpointName="who", EndpointConfigName="bad")
    described = bench.settled("who")

    assert described["EndpointConfigName"] == "good"
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert as_json(bench.invoke("who", b"x"))["model"] == "one"
    assert "no wheels on this one" in bench.logs.text("/aws/sagemaker/Endpoints/who")
    until(lambda: len(bench.replicas()) == 1, "what was brought up is gone")


def test_an_endpoint_whose_model_does_not_load_fails_with_the_reason_and_can_be_deleted(bench: Bench) -> None:
    bench.model("none", bench.upload("none.tar.gz", {"readme.txt": "no model here"}))
    bench.config("none", {"ModelName": "none"})
    bench.endpoint("none", "none")

    described = bench.settled("none", "Failed")

    assert described["FailureReason"].startswith('Failed to load the model of container "primary":')
    with pytest.raises(ServiceError, match="Endpoint none of account 123456789012 not found"):
        bench.invoke("none", b"1")
    bench.do("DeleteEndpoint", EndpointName="none")
    bench.gone("none")


def test_whoever_sees_an_endpoint_in_service_sees_its_instances(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "colonnade.lifecycle.deploy.endpoint.reconciler._keep", lambda platform, key, before, replicas: None
    )
    bench.script_model("who", who())
    bench.config("who", {"ModelName": "who"})
    bench.endpoint("who", "who")

    described = bench.settled("who")

    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1


def test_an_endpoint_that_is_deleted_at_the_moment_of_its_failure_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw, deletions = routes.withdraw, []

    def deleted_meanwhile(*place: Any) -> bool:
        if not deletions:
            deletions.append(bench.do("DeleteEndpoint", EndpointName="none"))
        return withdraw(*place)

    monkeypatch.setattr(routes, "withdraw", deleted_meanwhile)
    bench.model("none", bench.upload("none.tar.gz", {"readme.txt": "no model here"}))
    bench.config("none", {"ModelName": "none"})
    bench.endpoint("none", "none")

    until(lambda: deletions, "it fails, and is deleted")
    bench.gone("none")


def test_an_endpoint_is_not_in_service_before_its_model_has_predicted(
    bench: Bench, xgboost_model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any) -> None:
        raise RuntimeError("the probe came back different")

    monkeypatch.setattr("colonnade.serving.compiled.predictor.Predictor.check", broken)
    bench.model("census", bench.upload("census.tar.gz", {"xgboost-model": xgboost_model}))
    bench.config("census", {"ModelName": "census"})
    bench.endpoint("census", "census")

    assert "the probe came back different" in bench.settled("census", "Failed")["FailureReason"]


def test_a_deleted_endpoint_leaves_no_process_and_no_route(bench: Bench) -> None:
    bench.script_model("who", who())
    bench.config("who", {"ModelName": "who"})
    bench.endpoint("who", "who")
    bench.settled("who")
    pid = as_json(bench.invoke("who", b"x"))["pid"]

    bench.do("DeleteEndpoint", EndpointName="who")
    with pytest.raises(ServiceError, match="Cannot update in-progress endpoint"):
        bench.do("DeleteEndpoint", EndpointName="who")
    bench.gone("who")

    assert bench.replicas() == []
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(ServiceError) as refused:
        bench.invoke("who", b"x")
    assert (refused.value.code, refused.value.message) == (
        "ValidationError",
        "Endpoint who of account 123456789012 not found.",
    )
    with pytest.raises(ServiceError, match=r'Could not find endpoint "arn:.*:endpoint/who"\.'):
        bench.describe("who")


def test_an_overwritten_archive_does_not_change_what_an_endpoint_serves(bench: Bench) -> None:
    bench.script_model("who", who("first"))
    bench.config("who", {"ModelName": "who"})
    bench.endpoint("who", "who")
    bench.settled("who")
    bench.upload("who.tar.gz", {"code/inference.py": who("second")})

    with pytest.raises(ServiceError, match="twice"):
        bench.invoke("who", b"crash")

    assert as_json(bench.invoke("who", b"x"))["model"] == "first"


def test_a_worker_that_starts_later_serves_what_is_in_service(bench: Bench, xgboost_model: bytes) -> None:
    bench.model("census", bench.upload("census.tar.gz", {"xgboost-model": xgboost_model}))
    bench.script_model("who", who())
    for word in ("census", "who"):
        bench.config(word, {"ModelName": word})
        bench.endpoint(word, word)
    for word in ("census", "who"):
        bench.settled(word)

    bench.platform = bench.platform_on(bench.platform.store, bench.platform.signals)  # type: ignore[arg-type]

    assert json.loads(bench.invoke("census", b"0.1,0.9,0.4")["Body"]) == pytest.approx(
        predicted(xgboost_model, [0.1, 0.9, 0.4]), abs=1e-5
    )
    assert as_json(bench.invoke("who", b"x"))["model"] == "one"


def test_an_update_may_keep_the_live_weights_and_counts(bench: Bench) -> None:
    for word in ("one", "two"):
        bench.script_model(word, who(word))
        bench.config(word, {"ModelName": word, "InitialVariantWeight": 1.0})
    bench.endpoint("who", "one")
    bench.settled("who")
    bench.do(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="who",
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 7.0, "DesiredInstanceCount": 2}
        ],
    )
    bench.settled("who")

    bench.do(
        "UpdateEndpoint",
        EndpointName="who",
        EndpointConfigName="two",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    pending = bench.describe("who")["PendingDeploymentSummary"]
    (variant,) = bench.settled("who")["ProductionVariants"]

    assert pending["EndpointConfigName"] == "two"
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (7.0, 1)


def test_an_update_is_refused_when_the_configuration_in_use_was_deleted(bench: Bench) -> None:
    bench.script_model("who", who())
    for word in ("one", "two"):
        bench.config(word, {"ModelName": "who"})
    bench.endpoint("who", "one")
    bench.settled("who")
    bench.do("DeleteEndpointConfig", EndpointConfigName="one")

    with pytest.raises(
        ServiceError, match=r'Could not find endpoint configuration "arn:.*endpoint-config/one"'
    ):
        bench.do("UpdateEndpoint", EndpointName="who", EndpointConfigName="two")


def test_a_script_submitted_beside_the_model_is_served_with_its_helpers(bench: Bench) -> None:
    url = bench.upload("data.tar.gz", {"word.txt": "from the model"})
    code = (
        "import os, words\n"
        "def model_fn(d): return words.read(os.path.join(d, 'word.txt'))\n"
        "def input_fn(body, content_type): return body\n"
        "def predict_fn(data, model): return model\n"
    )
    helper = "def read(path): return open(path).read()"
    submitted = bench.upload("source.tar.gz", {"serve.py": code, "words.py": helper})
    bench.model("who", url, SCIKIT_LEARN, SAGEMAKER_PROGRAM="serve.py", SAGEMAKER_SUBMIT_DIRECTORY=submitted)
    bench.config("who", {"ModelName": "who"})
    bench.endpoint("who", "who")
    bench.settled("who")

    assert as_json(bench.invoke("who", b"x")) == "from the model"


def test_a_model_that_onnx_does_not_answer_exactly_is_served_by_xgboost_itself(bench: Bench) -> None:
    model = trained(objective="rank:pairwise")
    bench.model("ranks", bench.upload("ranks.tar.gz", {"xgboost-model": model}))
    bench.config("ranks", {"ModelName": "ranks"})
    bench.endpoint("ranks", "ranks")
    bench.settled("ranks")

    answer = bench.invoke("ranks", b"0.1,0.9,0.4")

    assert float(answer["Body"]) == pytest.approx(predicted(model, [0.1, 0.9, 0.4]), abs=1e-5)
    assert len(bench.replicas()) == 1


def test_model_data_that_is_not_fetched_in_time_fails_the_endpoint_and_names_the_url(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script_model("late", who())
    monkeypatch.setattr(artifacts, "time", SimpleNamespace(monotonic=partial(next, count(0.0, 61.0))))
    bench.config("late", {"ModelName": "late", "ModelDataDownloadTimeoutInSeconds": 60})
    bench.endpoint("late", "late")

    until(lambda: bench.describe("late")["EndpointStatus"] == "Failed", "the download is given up")

    reason = bench.describe("late")["FailureReason"]
    assert reason.startswith(
        'Failed to download model data for container "primary" from URL: "s3://models/late.tar.gz"'
    )
    assert "longer than 60 seconds" in reason


GREEDY = """
def model_fn(model_dir):
    return WHEN

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    return len(bytearray(6 << 30)) if data == "much" else len(data)
"""


def test_a_model_too_big_for_its_instance_fails_its_own_endpoint_and_the_others_go_on(bench: Bench) -> None:
    bench.script_model("small", GREEDY.replace("WHEN", "1"))
    bench.script_model("big", GREEDY.replace("WHEN", "bytearray(6 << 30)"))
    for name in ("small", "big"):
        bench.config(name, {"ModelName": name, "InstanceType": "ml.t2.medium"})
        bench.endpoint(name, name)
    bench.settled("small")

    failed = bench.settled("big", "Failed")

    assert "did not pass the ping health check" in failed["FailureReason"]
    log = bench.logs.text("/aws/sagemaker/Endpoints/big")
    assert "MemoryError" in log
    assert "On ml.t2.medium it has 4096 MiB of memory." in log
    assert as_json(bench.invoke("small", b"row", Accept="application/json")) == 3


def test_a_call_that_wants_more_memory_than_the_instance_has_is_a_model_error_and_the_next_is_answered(
    bench: Bench,
) -> None:
    bench.script_model("small", GREEDY.replace("WHEN", "1"))
    bench.config("small", {"ModelName": "small", "InstanceType": "ml.t2.medium"})
    bench.endpoint("small", "small")
    bench.settled("small")

    with pytest.raises(ServiceError) as refused:
        bench.invoke("small", b"much")

    assert "MemoryError" in refused.value.message
    assert as_json(bench.invoke("small", b"row", Accept="application/json")) == 3
