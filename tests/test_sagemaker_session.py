"""What of `colonnade.sagemaker_session()` needs no SDK; tests/clients runs it with both."""

from __future__ import annotations

from types import SimpleNamespace

import boto3
import pytest

import colonnade
from colonnade import sagemaker


def test_without_the_sdk_it_says_what_to_install() -> None:
    with pytest.raises(ModuleNotFoundError, match="pip install sagemaker"):
        colonnade.sagemaker_session()


def test_an_unknown_generation_of_the_sdk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sagemaker, "version", lambda _name: "4.1.0")
    with pytest.raises(ImportError, match=r"sagemaker 4\.1\.0 is installed"):
        colonnade.sagemaker_session()


def test_an_address_of_aws_is_refused_with_the_remedy() -> None:
    session = boto3.Session(region_name="eu-west-1")
    with pytest.raises(ValueError, match=r"'default' names no endpoint_url.*AWS_PROFILE=colonnade"):
        sagemaker._address(session)


def test_the_address_is_the_one_that_boto3_would_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert sagemaker._address(boto3.Session(region_name="eu-west-1")) == "http://127.0.0.1:4566"


def test_telemetry_is_left_out_unless_the_users_file_wants_it() -> None:
    silent = SimpleNamespace(sagemaker_config={})
    sagemaker._opt_out_of_telemetry(silent)
    modules = silent.sagemaker_config["SageMaker"]["PythonSDK"]["Modules"]
    assert modules == {"TelemetryOptOut": True}

    chosen = {"SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": False, "Session": {}}}}}
    sagemaker._opt_out_of_telemetry(SimpleNamespace(sagemaker_config=chosen))
    assert chosen["SageMaker"]["PythonSDK"]["Modules"] == {"TelemetryOptOut": False, "Session": {}}


def test_colonnade_has_no_attributes_but_its_own() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = colonnade.nothing
