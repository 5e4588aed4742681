from __future__ import annotations

import pytest

from colonnade import runtimes
from colonnade.kernel.errors import ServiceError
from colonnade.runtimes import Image


@pytest.mark.parametrize(
    ("uri", "runtime", "version", "processor"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", "xgboost", "1.7", "cpu"),
        (
            "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:0.90-2-cpu-py3",
            "xgboost",
            "0.90",
            "cpu",
        ),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest", "xgboost", "", "cpu"),
        ("sagemaker-scikit-learn:1.4-2-cpu-py3", "scikit-learn", "1.4", "cpu"),
        ("localhost:5000/sagemaker-scikit-learn:1.4-2-gpu-py310", "scikit-learn", "1.4", "gpu"),
        ("1.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost@sha256:" + "a" * 64, "xgboost", "", "cpu"),
    ],
)
def test_images_are_known_by_repository_whatever_the_registry(
    uri: str, runtime: str, version: str, processor: str
) -> None:
    assert runtimes.find(uri).name == runtime
    assert (Image.parse(uri).version, Image.parse(uri).processor) == (version, processor)


@pytest.mark.parametrize("uri", ["", "UPPER:1", "a b", "sagemaker-xgboost:", "x//y"])
def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(ServiceError, match="Invalid image URI"):
        Image.parse(uri)


def test_an_image_that_nothing_runs_is_refused_with_those_that_run() -> None:
    with pytest.raises(ServiceError, match="sagemaker-scikit-learn, sagemaker-xgboost, xgboost") as caught:
        runtimes.find("763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.14-cpu-py310")
    assert caught.value.code == "ValidationException"


def test_a_built_in_algorithm_brings_its_metrics_and_a_script_does_not() -> None:
    runtime, image = runtimes.find("xgboost:1"), Image.parse("xgboost:1")
    built_in = runtime.training(image, {"num_round": "1"}, {})
    assert built_in.command[-1] == "algorithm"
    assert "validation:auc" in [name for name, _ in built_in.metrics]
    for given in (({"sagemaker_program": '"a.py"'}, {}), ({}, {"SAGEMAKER_PROGRAM": "a.py"})):
        script = runtime.training(image, *given)
        assert (script.command[-1], script.metrics) == ("script", ())
