"""Data capture from the call to the object in S3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Bench, until

CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://captures/here",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
}


def serve(bench: Bench, model: bytes, **changed: Any) -> None:
    bench.model("census", bench.upload("census.tar.gz", {"xgboost-model": model}))
    two = [{"ModelName": "census", "VariantName": name} for name in ("a", "b")]
    bench.config("census", *two, DataCaptureConfig={**CAPTURE, **changed})
    bench.endpoint("Census", "census")
    bench.settled("census")


def captured(bench: Bench) -> dict[str, list[Any]]:
    """Records by key, of what has come to S3."""
    prefix = "s3://captures/"
    held = {url: body for url, body in bench.objects.held.items() if url.startswith(prefix)}
    return {
        url.removeprefix(prefix): [json.loads(each) for each in body.splitlines()]
        for url, body in held.items()
    }


def test_every_call_of_both_variants_is_in_s3_when_the_endpoint_is_gone(
    bench: Bench, xgboost_model: bytes
) -> None:
    serve(bench, xgboost_model)
    answers = [
        bench.invoke("Census", b"0.1,0.9,0.4", TargetVariant=variant, InferenceId=f"{variant}-{number}")
        for variant in ("a", "b")
        for number in range(3)
    ]
    described = bench.describe("census")["DataCaptureConfig"]

    bench.do("DeleteEndpoint", EndpointName="census")
    bench.gone("census")

    found = captured(bench)
    assert {key.split("/")[2] for key in found} == {"a", "b"}
    assert all(key.startswith("here/Census/") and key.endswith(".jsonl") for key in found)
    records = [record for each in found.values() for record in each]
    assert {record["eventMetadata"]["inferenceId"] for record in records} == {
        f"{variant}-{number}" for variant in ("a", "b") for number in range(3)
    }
    assert {record["captureData"]["endpointInput"]["data"] for record in records} == {"0.1,0.9,0.4"}
    assert {record["captureData"]["endpointOutput"]["data"] for record in records} == {
        answer["Body"].decode() for answer in answers
    }
    assert described == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captures/here",
        "KmsKeyId": "",
    }
    assert list(bench.captures.iterdir()) == []


def test_a_destination_that_refuses_costs_no_call_and_the_log_says_so_until_it_takes_the_data(
    bench: Bench, xgboost_model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colonnade.serving.capture._ROTATE_SECONDS", 0.2)
    monkeypatch.setattr("colonnade.lifecycle.deploy.endpoint.reconciler._DELIVERING", 0.1)
    bench.objects.denied.add("s3://captures")
    serve(bench, xgboost_model)

    assert bench.invoke("Census", b"0.1,0.9,0.4")["Body"]
    until(
        lambda: (
            "could not be written to s3://captures/here" in bench.logs.text("/aws/sagemaker/Endpoints/Census")
        ),
        "the log says what is wrong",
    )
    assert captured(bench) == {}
    bench.objects.denied.clear()

    until(lambda: captured(bench), "the data is in S3, while the endpoint serves")


def test_a_config_without_capture_captures_nothing(bench: Bench, xgboost_model: bytes) -> None:
    serve(bench, xgboost_model, EnableCapture=False)

    bench.invoke("Census", b"0.1,0.9,0.4")
    described = bench.describe("census")["DataCaptureConfig"]
    bench.do("DeleteEndpoint", EndpointName="census")
    bench.gone("census")

    assert (described["EnableCapture"], described["CaptureStatus"]) == (False, "Stopped")
    assert captured(bench) == {}
