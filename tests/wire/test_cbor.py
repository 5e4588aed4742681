"""smithy-rpc-v2-cbor from boto3, which speaks it when a service's model lists nothing else."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import auth
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from colonnade.gateway.protocols import cbor_items
from colonnade.kernel.errors import ServiceError

from .conftest import KEY, SECRET, Gateway
from .test_signatures import send, signed

Clients = Callable[[str], Any]


@pytest.fixture
def cbor_client(gateway: Gateway, tmp_path: Path) -> Clients:
    """Clients whose copy of the model lists CBOR alone."""

    def client(service: str) -> Any:
        loader = Loader()
        model = loader.load_service_model(service, "service-2")
        model["metadata"] |= {"protocol": "smithy-rpc-v2-cbor", "protocols": ["smithy-rpc-v2-cbor"]}
        folder = tmp_path / service / model["metadata"]["apiVersion"]
        folder.mkdir(parents=True)
        (folder / "service-2.json").write_text(json.dumps(model))
        session = botocore.session.get_session()
        session.get_component("data_loader").search_paths.insert(0, str(tmp_path))
        return boto3.session.Session(botocore_session=session).client(
            service,
            endpoint_url=gateway.url,
            region_name="eu-west-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


def test_a_call_over_cbor_gets_parameters_and_gives_its_result(
    gateway: Gateway, cbor_client: Clients
) -> None:
    seen: list[Any] = []
    gateway.on("cloudwatch", "PutMetricData", lambda call: seen.append(dict(call.parameters)))
    gateway.on(
        "cloudwatch",
        "GetMetricStatistics",
        lambda call: {
            "Label": "m",
            "Datapoints": [{"Timestamp": 1_700_000_000.5, "Sum": 2.5, "Unit": "Count"}],
        },
    )
    client = cbor_client("cloudwatch")
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)

    client.put_metric_data(
        Namespace="n", MetricData=[{"MetricName": "m", "Value": 1.25, "Timestamp": moment}]
    )
    answer = client.get_metric_statistics(
        Namespace="n", MetricName="m", StartTime=moment, EndTime=moment, Period=60
    )

    assert seen == [
        {
            "Namespace": "n",
            "MetricData": [{"MetricName": "m", "Value": 1.25, "Timestamp": moment.timestamp()}],
        }
    ]
    assert answer["Datapoints"][0]["Sum"] == 2.5
    assert answer["Datapoints"][0]["Timestamp"].timestamp() == 1_700_000_000.5
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["smithy-protocol"], headers["content-type"]) == ("rpc-v2-cbor", "application/cbor")


@pytest.mark.parametrize("service", ["sagemaker", "cloudtrail"])
def test_services_whose_models_do_not_list_it_understand_it_too(
    gateway: Gateway, cbor_client: Clients, service: str
) -> None:
    name = {"sagemaker": "ListEndpoints", "cloudtrail": "ListTrails"}[service]
    gateway.on(service, name, lambda call: {"NextToken": "more"})
    client = cbor_client(service)

    answer = client.list_endpoints() if service == "sagemaker" else client.list_trails()

    assert answer["NextToken"] == "more"


def test_an_error_over_cbor_carries_its_query_code(gateway: Gateway, cbor_client: Clients) -> None:
    def missing(call: Any) -> None:
        raise ServiceError("DashboardNotFoundError", "no such dashboard")

    gateway.on("cloudwatch", "GetDashboard", missing)
    client = cbor_client("cloudwatch")

    with pytest.raises(ClientError) as caught:
        client.get_dashboard(DashboardName="d")

    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("ResourceNotFound", "no such dashboard")
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-query-error"] == "ResourceNotFound;Sender"


def test_an_unwritten_operation_and_a_bad_value_say_so_over_cbor(
    gateway: Gateway, cbor_client: Clients
) -> None:
    gateway.on("translate", "TranslateText", lambda call: pytest.fail("it was called"))
    client = cbor_client("translate")

    with pytest.raises(ClientError) as unwritten:
        client.list_languages()
    with pytest.raises(ClientError) as wrong:
        client.translate_text(Text="x" * 10_001, SourceLanguageCode="en", TargetLanguageCode="de")

    assert unwritten.value.response["Error"]["Code"] == "NotImplementedException"
    assert unwritten.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert wrong.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("path", "said", "body", "wanted"),
    [
        ("/service/Comprehend_20171127/operation/Nothing", "rpc-v2-cbor", b"\xa0", (404, "UnknownOperation")),
        ("/service/Other/operation/ListEndpoints", "rpc-v2-cbor", b"\xa0", (404, "UnknownOperation")),
        ("/service/Comprehend_20171127", "rpc-v2-cbor", b"\xa0", (404, "UnknownOperation")),
        ("/service/Comprehend_20171127/operation/ListEndpoints", "rpc-v3", b"", (404, "UnknownOperation")),
        (
            "/service/Comprehend_20171127/operation/ListEndpoints",
            "rpc-v2-cbor",
            b"{}",
            (400, "Serialization"),
        ),
        (
            "/service/Comprehend_20171127/operation/ListEndpoints",
            "rpc-v2-cbor",
            b"\x80",
            (400, "Serialization"),
        ),
        ("/service/Comprehend_20171127/operation/ListEndpoints", "rpc-v2-cbor", b"", (200, "")),
        ("/proxied/service/Comprehend_20171127/operation/ListEndpoints", "rpc-v2-cbor", b"\xa0", (200, "")),
    ],
)
def test_strange_requests_are_answered_in_cbor(
    gateway: Gateway, path: str, said: str, body: bytes, wanted: tuple[int, str]
) -> None:
    gateway.on("comprehend", "ListEndpoints", lambda call: {})
    headers = {"smithy-protocol": said, "Content-Type": "application/cbor"}

    status, answer = send(gateway, signed(gateway, auth.SigV4Auth, "comprehend", "POST", path, body, headers))

    assert status == wanted[0]
    found = cbor_items.decode(answer)
    assert found.get("__type", "").startswith(wanted[1])
