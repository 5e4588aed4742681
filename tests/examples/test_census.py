"""The main job's parts that need no server: its requests, its script, its measures. `make demo` runs it whole."""

from __future__ import annotations

import doctest
import gzip
import importlib
import json
import os
import random
import subprocess
import sys
import tarfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def module(name: str) -> ModuleType:
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))


measures = module("census.measures")
place_module = module("census.place")
training = module("census.training")
endpoint = module("census.endpoint")
traffic = module("census.traffic")


ANSWERS: dict[str, dict[str, Any]] = {
    "CreateRole": {"Role": {"Arn": "arn:aws:iam::123456789012:role/census"}},
    "DescribeEndpoint": {"ProductionVariants": []},
}


class Recorder:
    """Stands where a boto3 client would: checks every request against AWS's model, and remembers it."""

    def __init__(self, service: str) -> None:
        self.model = botocore.session.get_session().get_service_model(service)
        self.asked: dict[str, list[dict[str, Any]]] = {}

    def __getattr__(self, method: str) -> Any:
        operation = "".join(word.capitalize() for word in method.split("_"))

        def ask(**request: Any) -> dict[str, Any]:
            errors = ParamValidator().validate(request, self.model.operation_model(operation).input_shape)
            assert not errors.has_errors(), errors.generate_report()
            self.asked.setdefault(operation, []).append(request)
            return ANSWERS.get(operation, {})

        return ask

    def get_waiter(self, name: str) -> Any:
        return SimpleNamespace(wait=lambda **request: None)


@pytest.fixture
def place() -> Any:
    return place_module.Place(
        stem="census",
        region="us-east-1",
        bucket="census-bucket",
        role_arn="arn:aws:iam::123456789012:role/census",
        s3=Recorder("s3"),
        logs=Recorder("logs"),
        sagemaker=Recorder("sagemaker"),
        runtime=Recorder("sagemaker-runtime"),
    )


def test_both_training_requests_fit_the_service_model(place: Any) -> None:
    for job in (training.xgboost_job(place), training.sklearn_job(place)):
        place.sagemaker.create_training_job(**job)

    names = [job["TrainingJobName"] for job in place.sagemaker.asked["CreateTrainingJob"]]
    assert names == ["census-xgboost", "census-sklearn"]


def test_hyperparameters_of_the_script_are_json_in_strings(place: Any) -> None:
    sent = training.sklearn_job(place)["HyperParameters"]

    assert {name: json.loads(value) for name, value in sent.items()} == {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": "s3://census-bucket/code/sourcedir.tar.gz",
        "sagemaker_region": "us-east-1",
        "inverse-regularization": 1.0,
        "max-iter": 200,
    }


def test_requests_for_the_endpoint_fit_the_service_model(place: Any) -> None:
    jobs = [
        {"TrainingJobName": name, "ModelArtifacts": {"S3ModelArtifacts": f"s3://census-bucket/{name}.tar.gz"}}
        for name in ("census-xgboost", "census-sklearn")
    ]

    # Nothing leaves the stack of cleanups: there is nothing to clean.
    name = endpoint.deploy(place, *jobs, ExitStack())
    endpoint.shift_weights(place, name, {"Model-A": 80, "Model-B": 20})

    asked = place.sagemaker.asked
    variants = asked["CreateEndpointConfig"][0]["ProductionVariants"]
    assert [variant["ModelName"] for variant in variants] == ["census-xgboost", "census-sklearn"]
    assert [variant["InitialVariantWeight"] for variant in variants] == [1, 1]
    assert asked["CreateModel"][1]["PrimaryContainer"]["Environment"]["SAGEMAKER_PROGRAM"] == "train.py"
    weights = asked["UpdateEndpointWeightsAndCapacities"][0]["DesiredWeightsAndCapacities"]
    assert [weight["DesiredWeight"] for weight in weights] == [80, 20]


def test_the_role_is_for_sagemaker_and_reaches_one_bucket() -> None:
    iam = Recorder("iam")

    arn = place_module.create_role(iam, "census", "census-bucket", ExitStack())

    assert arn == "arn:aws:iam::123456789012:role/census"
    trust = json.loads(iam.asked["CreateRole"][0]["AssumeRolePolicyDocument"])
    assert trust["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    allowed = json.loads(iam.asked["PutRolePolicy"][0]["PolicyDocument"])
    assert allowed["Statement"][0]["Resource"] == [
        "arn:aws:s3:::census-bucket",
        "arn:aws:s3:::census-bucket/*",
    ]


def test_the_census_is_split_the_same_way_every_time_and_loses_no_row(place: Any) -> None:
    place_module.upload_census(place)
    place_module.upload_census(place)

    bodies = [request["Body"] for request in place.s3.asked["PutObject"]]
    assert bodies[:2] == bodies[2:]
    train, validation = (body.splitlines() for body in bodies[:2])
    assert (len(train), len(validation)) == (55_028, 13_757)
    with gzip.open(place_module.DATA / "2015.csv.gz") as file:
        assert sorted(train + validation) == sorted(file.read().splitlines())


def test_the_source_archive_holds_the_script_and_its_requirements_at_the_top(place: Any) -> None:
    training.upload_script(place)

    body = place.s3.asked["PutObject"][0]["Body"]
    with tarfile.open(fileobj=BytesIO(body)) as tar:
        assert sorted(tar.getnames()) == ["requirements.txt", "train.py"]


def test_the_script_trains_from_its_channels_and_answers_with_probabilities(tmp_path: Path) -> None:
    with gzip.open(place_module.DATA / "2015.csv.gz", "rt") as file:
        rows = random.Random(5).sample(file.readlines(), 4000)
    for channel, part in (("train", rows[:3000]), ("validation", rows[3000:])):
        (tmp_path / channel).mkdir()
        (tmp_path / channel / "census.csv").write_text("".join(part))
    variables = {
        "SM_CHANNEL_TRAIN": str(tmp_path / "train"),
        "SM_CHANNEL_VALIDATION": str(tmp_path / "validation"),
        "SM_MODEL_DIR": str(tmp_path),
    }

    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / "census_sklearn" / "train.py"), "--max-iter", "50"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stderr
    said = [line for line in ran.stdout.splitlines() if line.startswith("validation-auc=")]
    assert float(said[0].removeprefix("validation-auc=")) > 0.85
    script = module("census_sklearn.train")
    model = script.model_fn(str(tmp_path))
    body = "".join(row.split(",", 1)[1] for row in rows[3000:])
    answer, content_type = script.output_fn(
        script.predict_fn(script.input_fn(body, "text/csv"), model), "text/csv"
    )
    scores = [float(line) for line in answer.split("\n")]
    assert content_type == "text/csv"
    assert measures.auc([int(row[0]) for row in rows[3000:]], scores) > 0.85


def test_a_split_outside_three_sigma_is_a_failed_check() -> None:
    answers = [traffic.Answer("Model-A", 1, 0.9, 1.0)] * 1068 + [traffic.Answer("Model-B", 1, 0.9, 1.0)] * 932
    checks = traffic.Checks()

    traffic.check_split(checks, answers, {"Model-A": 0.5, "Model-B": 0.5})

    assert checks.failed == 2


def test_auc_agrees_with_scikit_learn_on_tied_scores() -> None:
    from sklearn.metrics import roc_auc_score

    draw = random.Random(11)
    labels = [draw.randrange(2) for _ in range(500)]
    scores = [round(draw.random() + label / 4, 1) for label in labels]

    assert measures.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_percentiles_are_values_that_occurred() -> None:
    assert measures.percentile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert measures.percentile([float(value) for value in range(1, 101)], 0.99) == 99.0


def test_the_examples_of_the_measures_are_true() -> None:
    assert doctest.testmod(measures).failed == 0
    assert doctest.testmod(measures).attempted >= 2
