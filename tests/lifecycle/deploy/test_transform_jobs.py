"""Transform jobs: what is refused, what an instance is told, and what becomes of a job whose works or server die."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from colonnade.executors import Phase
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Result
from colonnade.kernel.reconcile.driver import Driver
from colonnade.lifecycle.deploy.transform_job import shares

from .conftest import ROLE, SCIKIT_LEARN, XGBOOST, Bench, predicted, until

ECHO = """
import os, pathlib, time

def model_fn(model_dir):
    print("loaded")
    return None

def transform_fn(model, body, content_type, accept):
    text = body if isinstance(body, str) else body.decode()
    while "wait" in text and not pathlib.Path(os.environ["SAGEMAKER_GATE"]).exists():
        time.sleep(0.02)
    named = ("SAGEMAKER_BATCH", "SAGEMAKER_BATCH_STRATEGY", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "WORD")
    told = " ".join(f"{name}={os.environ.get(name)}" for name in named)
    return "".join(f"{line}|{told}\\n" for line in text.splitlines()), "text/csv"
"""

GATE = {"SAGEMAKER_GATE": "/opt/ml/model/gate"}
"""What the model waits for when it is told to."""


def job(bench: Bench, name: str = "job", **changes: Any) -> Result:
    """Create one over s3://in/, changed as told: structures are merged."""
    request: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": "model",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://in/"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": "s3://out/answers", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    for member, change in changes.items():
        held = request.get(member)
        request[member] = {**held, **change} if isinstance(held, dict) else change
    return bench.do("CreateTransformJob", **request)


def describe(bench: Bench, name: str = "job") -> Result:
    return bench.do("DescribeTransformJob", TransformJobName=name)


def ended(bench: Bench, name: str = "job") -> Result:
    """The description once it has ended and nothing of it is left."""
    until(
        lambda: describe(bench, name)["TransformJobStatus"] in ("Completed", "Failed", "Stopped"),
        f"the end of {name}",
    )
    until(lambda: not works(bench), "its works being forgotten")
    return describe(bench, name)


def works(bench: Bench) -> list[str]:
    return [work for work in bench.executor.known() if work.startswith("transform-")]


def answers(bench: Bench) -> dict[str, str]:
    begin = "s3://out/answers/"
    return {
        url.removeprefix(begin): content.decode()
        for url, content in bench.objects.held.items()
        if url.startswith(begin)
    }


def with_another_leader(bench: Bench, meanwhile: Callable[[], None] = lambda: None) -> None:
    bench.driver.stop()
    meanwhile()
    bench.driver = Driver(bench.platform, threads=4)
    bench.driver.start()


@pytest.fixture
def echo(bench: Bench) -> Bench:
    """With one object and a model that says what it was given."""
    bench.script_model("model", ECHO)
    bench.objects.held["s3://in/a.csv"] = b"1\n2\n"
    return bench


def refusal(bench: Bench, **changes: Any) -> str:
    with pytest.raises(ServiceError) as refused:
        job(bench, **changes)
    return str(refused.value)


SOURCE = {"S3DataType": "S3Prefix", "S3Uri": "s3://in/"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ModelName": "nobody"}, "ValidationException: Could not find model"),
    ({"MaxPayloadInMB": 101}, "ValidationException: MaxPayloadInMB 101 must be less than or equal to 100"),
    ({"MaxConcurrentTransforms": 17}, "17 times MaxPayloadInMB 6 is 102"),
    ({"MaxPayloadInMB": 0}, "NotImplementedException: Colonnade does not implement MaxPayloadInMB 0"),
    ({"TransformResources": {"InstanceCount": 101}}, "InstanceCount 101 must be less than or equal to 100"),
    ({"DataCaptureConfig": {"DestinationS3Uri": "s3://x/"}}, "does not implement DataCaptureConfig yet"),
    ({"TransformResources": {"VolumeKmsKeyId": "k"}}, "does not implement VolumeKmsKeyId yet"),
    ({"TransformOutput": {"S3OutputPath": "https://out/"}}, "The S3 URI https://out/ is not valid"),
    (
        {"TransformInput": {"DataSource": {"S3DataSource": {**SOURCE, "S3Uri": "s3://in/none"}}}},
        'No S3 objects found under S3 URL "s3://in/none"',
    ),
    (
        {
            "TransformInput": {
                "DataSource": {"S3DataSource": {**SOURCE, "S3DataType": "AugmentedManifestFile"}}
            }
        },
        "S3DataType AugmentedManifestFile is not for transform jobs",
    ),
    (
        {"DataProcessing": {"InputFilter": "[1:]"}},
        "DataProcessing.InputFilter is not valid: '[1:]' must begin with $",
    ),
    ({"DataProcessing": {"OutputFilter": "$.id"}}, "'$.id' names members, which text/csv has not"),
    (
        {"DataProcessing": {"JoinSource": "Input"}, "TransformInput": {"ContentType": "image/png"}},
        "DataProcessing needs a TransformInput.ContentType of text/csv",
    ),
    (
        {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"Accept": "application/json"}},
        "Accept 'application/json' to be the TransformInput.ContentType 'text/csv'",
    ),
    (
        {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"AssembleWith": "None"}},
        "AssembleWith None to be the SplitType Line",
    ),
]


@pytest.mark.parametrize(("changes", "why"), REFUSED)
def test_what_cannot_be_done_is_refused_when_it_is_asked_for(
    echo: Bench, changes: Mapping[str, Any], why: str
) -> None:
    assert why in refusal(echo, **changes)


def test_a_model_without_a_role_or_with_direct_containers_is_refused(echo: Bench) -> None:
    echo.do("CreateModel", ModelName="roleless", PrimaryContainer={"Image": SCIKIT_LEARN})
    containers = [{"Image": SCIKIT_LEARN, "ContainerHostname": name} for name in ("a", "b")]
    echo.do(
        "CreateModel",
        ModelName="direct",
        Containers=containers,
        InferenceExecutionConfig={"Mode": "Direct"},
        ExecutionRoleArn=ROLE,
    )

    assert "Model roleless has no ExecutionRoleArn" in refusal(echo, ModelName="roleless")
    assert "Model direct has InferenceExecutionConfig.Mode Direct" in refusal(echo, ModelName="direct")


def test_a_container_is_told_what_the_request_said_and_no_more(echo: Bench) -> None:
    job(echo, Environment={"WORD": "given"}, BatchStrategy="MultiRecord")

    described = ended(echo)

    assert described["TransformJobStatus"] == "Completed", described
    told = "SAGEMAKER_BATCH=true SAGEMAKER_BATCH_STRATEGY=MULTI_RECORD SAGEMAKER_MAX_PAYLOAD_IN_MB=None WORD=given"
    assert answers(echo) == {"a.csv.out": f"1|{told}\n2|{told}\n"}
    assert described["Environment"] == {"WORD": "given"}
    assert "MaxPayloadInMB" not in described
    assert "loaded" in echo.logs.text("/aws/sagemaker/TransformJobs")


def test_a_manifest_names_the_objects_and_outputs_keep_its_paths(echo: Bench) -> None:
    echo.objects.held |= {"s3://in/deep/b.csv": b"b\n", "s3://in/deep/c.csv": b"c\n"}
    manifest = json.dumps([{"prefix": "s3://in/"}, "deep/b.csv", "a.csv"])
    echo.objects.held["s3://lists/today.manifest"] = manifest.encode()
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://lists/today.manifest"}

    job(echo, TransformInput={"DataSource": {"S3DataSource": source}})

    assert ended(echo)["TransformJobStatus"] == "Completed"
    assert set(answers(echo)) == {"deep/b.csv.out", "a.csv.out"}


def test_a_pipeline_of_user_code_and_a_built_in_model_transforms(bench: Bench, xgboost_model: bytes) -> None:
    halves = (
        "def model_fn(d): return None\n"
        "def transform_fn(m, body, kind, accept):\n"
        "    rows = [[str(float(c) / 2) for c in line.split(',')] for line in body.splitlines()]\n"
        "    return '\\n'.join(map(','.join, rows)), 'text/csv'\n"
    )
    containers = [
        {"Image": SCIKIT_LEARN, "ModelDataUrl": bench.upload("halves", {"code/inference.py": halves})},
        {"Image": XGBOOST, "ModelDataUrl": bench.upload("score", {"xgboost-model": xgboost_model})},
    ]
    bench.do("CreateModel", ModelName="model", Containers=containers, ExecutionRoleArn=ROLE)
    bench.objects.held["s3://in/a.csv"] = b"0.2,1.8,0.8\n0.4,0.4,0.4\n"

    job(bench)
    described = ended(bench)

    assert described["TransformJobStatus"] == "Completed", described
    found = [float(line) for line in answers(bench)["a.csv.out"].splitlines()]
    wanted = [predicted(xgboost_model, row) for row in ([0.1, 0.9, 0.4], [0.2, 0.2, 0.2])]
    assert found == wanted, "the model's own answers, to the bit"


def test_an_estimator_transforms_without_a_script(bench: Bench) -> None:
    import joblib
    from sklearn.linear_model import LinearRegression

    dumped = io.BytesIO()
    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]), dumped)
    bench.model("model", bench.upload("line", {"model.joblib": dumped.getvalue()}), SCIKIT_LEARN)
    bench.objects.held["s3://in/a.csv"] = b"2\n10\n"

    job(bench)

    assert ended(bench)["TransformJobStatus"] == "Completed", describe(bench)
    assert [round(float(line), 6) for line in answers(bench)["a.csv.out"].splitlines()] == [5, 21]


def test_the_model_may_go_while_its_job_runs(echo: Bench) -> None:
    echo.objects.held["s3://in/a.csv"] = b"wait\n"
    job(echo, Environment=GATE)
    until(lambda: works(echo), "the work")

    echo.do("DeleteModel", ModelName="model")
    echo.do("StopTransformJob", TransformJobName="job")

    assert ended(echo)["TransformJobStatus"] == "Stopped"
    assert answers(echo) == {}


def test_what_the_role_may_not_read_or_write_fails_the_job_with_the_reason(echo: Bench) -> None:
    echo.objects.held["s3://in/b.csv"] = b"1\n"
    echo.objects.denied.add("s3://in/b.csv")
    job(echo, "unreadable")
    unreadable = ended(echo, "unreadable")
    echo.objects.denied = {"s3://out"}

    job(echo, "unwritable")
    unwritable = ended(echo, "unwritable")

    assert unreadable["FailureReason"].startswith("ClientError: Data download failed: s3://in/")
    assert "AccessDenied" in unreadable["FailureReason"]
    assert unwritable["FailureReason"].startswith("ClientError: The output cannot be written: AccessDenied")
    assert answers(echo) == {}


def test_model_data_that_is_no_model_fails_the_job(bench: Bench) -> None:
    bench.model("model", bench.upload("empty.tar.gz", {"readme": "no model"}))
    bench.objects.held["s3://in/a.csv"] = b"1,2\n"

    job(bench)

    assert "readme is not an XGBoost model" in ended(bench)["FailureReason"]


def test_a_job_goes_on_under_another_leader_and_its_work_is_not_begun_again(
    echo: Bench, tmp_path: Path
) -> None:
    echo.objects.held["s3://in/a.csv"] = b"wait\n"
    job(echo, Environment=GATE)
    until(lambda: "loaded" in echo.logs.text("/aws/sagemaker/TransformJobs"), "the model is loaded")
    (before,) = works(echo)

    with_another_leader(echo)
    (folder,) = [path for path in tmp_path.glob("work/**/ml/model") if before in str(path)]
    (folder / "gate").touch()

    described = ended(echo)
    assert described["TransformJobStatus"] == "Completed", described
    assert answers(echo)["a.csv.out"].startswith("wait|")
    assert echo.logs.text("/aws/sagemaker/TransformJobs").count("loaded") == 1


def test_a_work_that_vanished_fails_its_job_honestly(echo: Bench) -> None:
    echo.objects.held["s3://in/a.csv"] = b"wait\n"
    job(echo, Environment=GATE)
    until(lambda: any(echo.executor.observe(work).phase is Phase.RUNNING for work in works(echo)), "it runs")

    with_another_leader(echo, lambda: echo.executor.forget(works(echo)[0]))

    assert ended(echo)["FailureReason"] == (
        "InternalServerError: The work of this job is gone from its executor."
    )


def test_objects_are_dealt_out_evenly_by_size_in_the_order_of_their_source() -> None:
    sized = [(f"{n}.csv", Location("in", f"{n}.csv"), size) for n, size in enumerate([5, 90, 10, 60, 30])]

    dealt = shares._balanced(sized, 2)

    assert dealt == [
        [["in", "1.csv", "1.csv.out"], ["in", "2.csv", "2.csv.out"]],
        [["in", "0.csv", "0.csv.out"], ["in", "3.csv", "3.csv.out"], ["in", "4.csv", "4.csv.out"]],
    ]
    assert len(shares._balanced(sized, 100)) == 5
