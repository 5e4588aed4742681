"""Models and endpoint configurations: what is kept, what is missing, what is refused and how."""

from __future__ import annotations

from typing import Any

import pytest

from colonnade.kernel.errors import ServiceError
from colonnade.serving.artifacts import Artifacts

from .conftest import ACCOUNT, REGION, ROLE, ROOT, XGBOOST, Bench, trained, until

ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
VARIANT = {
    "VariantName": "a",
    "ModelName": "census",
    "InitialInstanceCount": 1,
    "InstanceType": "ml.m5.large",
}


@pytest.fixture
def census(bench: Bench) -> Bench:
    bench.model("census", bench.upload("census.tar.gz", {"xgboost-model": b"{}"}))
    return bench


def refusal(bench: Bench, operation: str, **parameters: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        bench.do(operation, **parameters)
    return refused.value


def create_model(bench: Bench, **changed: Any) -> ServiceError:
    """The refusal of a model that differs from a good one by some members; None takes one away."""
    url = bench.upload("good.tar.gz", {"xgboost-model": b"{}"})
    container = {"Image": XGBOOST, "ModelDataUrl": url, **changed.pop("container", {})}
    given = {"ModelName": "m", "PrimaryContainer": container, "ExecutionRoleArn": ROLE, **changed}
    return refusal(
        bench, "CreateModel", **{name: value for name, value in given.items() if value is not None}
    )


def test_a_model_is_described_with_what_it_was_created_with(census: Bench) -> None:
    described = census.do("DescribeModel", ModelName="census")

    assert described["ModelArn"] == f"{ARN}:model/census"
    assert described["PrimaryContainer"]["ModelDataUrl"] == "s3://models/census.tar.gz"
    assert [row["ModelName"] for row in census.do("ListModels")["Models"]] == ["census"]


def test_a_second_model_of_a_name_is_refused(census: Bench) -> None:
    refused = create_model(census, ModelName="Census")

    assert str(refused) == f'ValidationException: Cannot create already existing model "{ARN}:model/census".'


def test_a_missing_model_is_named_by_its_arn(bench: Bench) -> None:
    for operation in ("DescribeModel", "DeleteModel"):
        refused = refusal(bench, operation, ModelName="none")
        assert str(refused) == f'ValidationException: Could not find model "{ARN}:model/none".'


def test_model_data_that_is_not_there_or_not_readable_is_refused(bench: Bench) -> None:
    missing = create_model(bench, container={"ModelDataUrl": "s3://models/none.tar.gz"})
    bench.objects.denied.add("s3://models/good.tar.gz")
    denied = create_model(bench)

    assert missing.message.startswith("Could not find model data at s3://models/none.tar.gz.")
    assert "NoSuchKey" in missing.message
    assert f"the role {ROLE}" in denied.message
    assert "AccessDenied" in denied.message


@pytest.mark.parametrize(
    ("changed", "code", "text"),
    [
        (
            {"container": {"Image": "busybox:1"}},
            "ValidationException",
            "Colonnade cannot run the image busybox:1",
        ),
        ({"container": {"Image": ""}}, "ValidationException", "must name an Image"),
        (
            {"container": {"ModelDataUrl": "http://x/y"}},
            "ValidationException",
            "is not the S3 URL of an object",
        ),
        (
            {"container": {"Mode": "MultiModel", "ModelDataUrl": "https://models/"}},
            "ValidationException",
            "must be the S3 prefix of its models",
        ),
        ({"PrimaryContainer": None}, "ValidationException", "A model needs a PrimaryContainer"),
        (
            {
                "PrimaryContainer": None,
                "Containers": [{"Image": XGBOOST, "ContainerHostname": "a"}, {"Image": XGBOOST}],
                "InferenceExecutionConfig": {"Mode": "Direct"},
            },
            "ValidationException",
            "container 2 has none",
        ),
        (
            {"PrimaryContainer": None, "Containers": [{"Image": XGBOOST, "ContainerHostname": "a"}] * 2},
            "ValidationException",
            "must be unique",
        ),
        ({"Containers": [{"Image": XGBOOST}]}, "ValidationException", "not both"),
        ({"VpcConfig": {"Subnets": ["s"]}}, "NotImplementedException", "VpcConfig"),
        ({"EnableNetworkIsolation": True}, "NotImplementedException", "EnableNetworkIsolation"),
        ({"ExecutionRoleArn": None}, "ValidationException", "ExecutionRoleArn must be given"),
        ({"ExecutionRoleArn": "arn:aws:iam::1:role/x"}, "ValidationException", "Could not assume role"),
    ],
)
def test_models_that_cannot_be_are_refused_by_name(
    bench: Bench, changed: dict[str, Any], code: str, text: str
) -> None:
    refused = create_model(bench, **changed)

    assert refused.code == code
    assert text in refused.message


def test_a_configuration_is_kept_and_a_second_one_of_its_name_refused(census: Bench) -> None:
    census.config("c", {"ModelName": "census"})

    described = census.do("DescribeEndpointConfig", EndpointConfigName="c")
    again = refusal(census, "CreateEndpointConfig", EndpointConfigName="C", ProductionVariants=[{**VARIANT}])

    assert described["ProductionVariants"][0]["ModelName"] == "census"
    assert (
        again.message == f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/c".'
    )


@pytest.mark.parametrize(
    ("config", "variant", "code", "text"),
    [
        ({}, {"ModelName": "none"}, "ValidationException", f'Could not find model "{ARN}:model/none".'),
        (
            {},
            {"ServerlessConfig": {"MaxConcurrency": 1, "MemorySizeInMB": 1024}},
            "ValidationException",
            "is for variants with instances",
        ),
        ({}, {"ModelName": None}, "ValidationException", "ExecutionRoleArn must be given"),
        ({}, {"InstanceType": None}, "ValidationException", "must give InstanceType"),
        (
            {"AsyncInferenceConfig": {"OutputConfig": {}}},
            {},
            "ValidationException",
            "S3OutputPath",
        ),
        (
            {"DataCaptureConfig": {"EnableCapture": True, "DestinationS3Uri": "https://x/y"}},
            {},
            "ValidationException",
            "The S3 URI https://x/y is not valid",
        ),
        ({"ShadowProductionVariants": [VARIANT]}, {}, "NotImplementedException", "ShadowProductionVariants"),
        ({"ProductionVariants": [VARIANT, VARIANT]}, {}, "ValidationException", "must be unique"),
    ],
)
def test_configurations_that_cannot_be_are_refused_by_name(
    census: Bench, config: dict[str, Any], variant: dict[str, Any], code: str, text: str
) -> None:
    described = {name: value for name, value in {**VARIANT, **variant}.items() if value is not None}
    given = {"EndpointConfigName": "c", "ProductionVariants": [described], **config}

    refused = refusal(census, "CreateEndpointConfig", **given)

    assert refused.code == code
    assert text in refused.message


def test_an_endpoint_of_a_missing_configuration_is_refused(bench: Bench) -> None:
    refused = refusal(bench, "CreateEndpoint", EndpointName="e", EndpointConfigName="none")

    assert refused.message == f'Could not find endpoint configuration "{ARN}:endpoint-config/none".'


@pytest.mark.parametrize(
    "policy",
    [
        {"RollingUpdatePolicy": {"WaitIntervalInSeconds": 1}},
        {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
        {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "CANARY"}}},
        {"BlueGreenUpdatePolicy": {"TerminationWaitInSeconds": 5}},
    ],
)
def test_guardrails_that_do_not_work_yet_are_refused(census: Bench, policy: dict[str, Any]) -> None:
    census.config("c", {"ModelName": "census"})

    refused = refusal(
        census, "CreateEndpoint", EndpointName="e", EndpointConfigName="c", DeploymentConfig=policy
    )

    assert refused.code == "NotImplementedException"


@pytest.mark.parametrize(
    "operation", ["DescribeEndpoint", "DeleteEndpoint", "UpdateEndpointWeightsAndCapacities"]
)
def test_a_missing_endpoint_is_named_by_its_arn(bench: Bench, operation: str) -> None:
    more = {"DesiredWeightsAndCapacities": []} if "Weights" in operation else {}

    refused = refusal(bench, operation, EndpointName="None", **more)

    assert str(refused) == f'ValidationException: Could not find endpoint "{ARN}:endpoint/none".'


def test_a_model_is_compiled_as_soon_as_it_exists(bench: Bench) -> None:
    data = trained(objective="reg:squarederror")
    bench.model("early", bench.upload("early.tar.gz", {"xgboost-model": data, "early": "bird"}))

    def compiled() -> bool:
        artifacts = bench.platform.the(Artifacts)
        content = bench.objects.read(ROOT, "models", "early.tar.gz")
        return artifacts.compiled(artifacts.keep(content), "xgboost") is not None

    until(compiled, "the model is compiled")
    until(lambda: "_prepared" not in bench.document("Model", "early"), "nothing is left to do")
    assert list(bench.executor.known()) == []
