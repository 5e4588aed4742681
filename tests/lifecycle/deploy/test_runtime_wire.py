"""The SageMaker runtime on the wire, as real boto3 and raw sockets see it: limits, codes, texts, members, headers."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from colonnade.cloud.iam.principals import StoredPrincipals
from colonnade.gateway import app
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Credential, Principals
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store import Key
from colonnade.kernel.store.memory import MemoryStore
from colonnade.serving.connection import ReplicaLost
from colonnade.serving.faults import Place
from colonnade.serving.frames import Answer, Request
from colonnade.serving.router import Router
from colonnade.serving.routes import Container, Route, Variant
from colonnade.serving.streams import Stream, Whole
from colonnade.testing.gateway import served

from .conftest import ACCOUNT, REGION, ROOT

import_module("colonnade.lifecycle.deploy.endpoint.invoke_streaming")
OWNER = Credential("AKIAROOTROOTROOTROOT", "the-secret-of-root", None, None, ROOT)
KEY = Key("aws", ACCOUNT, REGION, "sagemaker", "Endpoint", "demo")
PLACE = Place(ACCOUNT, REGION, "Demo")
LIMIT = 6_291_456
SEE = (
    "See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:"
    f"group=/aws/sagemaker/Endpoints/Demo in account {ACCOUNT} for more information."
)


class Model:
    """An instance that answers as the test says, and keeps what it was asked."""

    name = "fake"
    alive = True
    outstanding = 0

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.answer: Callable[[Request], Answer] = lambda request: Answer(200, b"ok", "text/csv", "said=1")

    async def ask(self, request: Request) -> Answer:
        self.asked.append(request)
        answer = self.answer(request)
        if answer.status == 0:
            await asyncio.get_running_loop().create_future()
        return answer

    async def stream(self, request: Request) -> Stream:
        return Whole(await self.ask(request))

    def drain(self) -> None:
        """There is nothing to give back."""


class Runtime:
    def __init__(self, port: int, router: Router, model: Model) -> None:
        self.port, self.router, self.model = port, router, model
        self.client = boto3.session.Session().client(
            "sagemaker-runtime",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name=REGION,
            aws_access_key_id=OWNER.access_key_id,
            aws_secret_access_key=OWNER.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False),
        )

    def invoke(self, **changed: Any) -> Any:
        return self.client.invoke_endpoint(
            **{"EndpointName": "Demo", "Body": b"1,2", "ContentType": "text/csv", **changed}
        )

    def refusal(self, **changed: Any) -> dict[str, Any]:
        with pytest.raises(ClientError) as refused:
            self.invoke(**changed)
        found: dict[str, Any] = refused.value.response
        return found


@pytest.fixture(scope="module")
def started() -> Iterator[Runtime]:
    clock, store, signals = SystemClock(), MemoryStore(), LocalSignals()
    platform = Platform(store=store, clock=clock, ids=SeededIds(), signals=signals)
    platform.provide(Principals, StoredPrincipals(store, clock, OWNER, signals=signals))
    router, model = Router(seed=1, deadline=0.5), Model()
    platform.provide(Router, router)
    with served(app.build(platform)) as port:
        yield Runtime(port, router, model)


@pytest.fixture
def runtime(started: Runtime) -> Runtime:
    model = started.model
    model.__init__()  # type: ignore[misc]
    variant = Variant("A", 1, [Container("primary", [model])])
    started.router.install(KEY, Route(PLACE, 1, [variant]))
    return started


def code_and_status(response: dict[str, Any]) -> tuple[str, int]:
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_what_the_model_is_told_and_what_it_says_goes_through_in_the_headers_of_the_contract(
    runtime: Runtime,
) -> None:
    answer = runtime.invoke(
        Accept="text/csv", CustomAttributes="trace=1", InferenceId="i" * 64, TargetVariant="A"
    )

    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert answer["Body"].read() == b"ok"
    assert headers["content-type"] == "text/csv"
    assert headers["x-amzn-invoked-production-variant"] == "A"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "said=1"
    (asked,) = runtime.model.asked
    assert (asked.body, asked.content_type, asked.accept, asked.custom_attributes) == (
        b"1,2",
        "text/csv",
        "text/csv",
        "trace=1",
    )


def test_custom_attributes_come_back_only_if_the_model_sets_them(runtime: Runtime) -> None:
    runtime.model.answer = lambda request: Answer(200, b"ok", "text/csv")

    assert "CustomAttributes" not in runtime.invoke(CustomAttributes="trace=1")


@pytest.mark.parametrize("size", [0, LIMIT])
def test_bodies_up_to_the_limit_reach_the_model_whole(runtime: Runtime, size: int) -> None:
    assert runtime.invoke(Body=b"x" * size)["Body"].read() == b"ok"
    assert len(runtime.model.asked[0].body) == size


@pytest.mark.parametrize(
    ("changed", "code", "status", "says"),
    [
        ({"Body": b"x" * (LIMIT + 1)}, "ValidationError", 413, f"larger than the allowed {LIMIT} bytes"),
        ({"CustomAttributes": "x" * 1025}, "ValidationError", 400, "less than or equal to 1024"),
        ({"InferenceId": "x" * 65}, "ValidationError", 400, "less than or equal to 64"),
        ({"EndpointName": "None"}, "ValidationError", 400, f"Endpoint None of account {ACCOUNT} not found."),
        ({"EndpointName": "-"}, "ValidationError", 400, "endpointName"),
        ({"TargetVariant": "B"}, "ValidationError", 400, "Variant B of endpoint Demo not found."),
        ({"TargetContainerHostname": "c"}, "ValidationError", 400, "TargetContainerHostname cannot be given"),
        ({"TargetModel": "m.tar.gz"}, "ValidationError", 400, "TargetModel"),
        ({"EnableExplanations": "`true`"}, "ValidationError", 400, "EnableExplanations"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_cannot_be_is_a_validation_error_and_no_model_is_asked(
    runtime: Runtime, changed: dict[str, Any], code: str, status: int, says: str
) -> None:
    refused = runtime.refusal(**changed)

    assert code_and_status(refused) == (code, status)
    assert says in refused["Error"]["Message"]
    assert runtime.model.asked == []


@pytest.mark.parametrize("value", ["x" * 1024, "~ !\"#$%&'()*+,-./:;<=>?@[]^_`{|}"])
def test_custom_attributes_of_up_to_1024_ascii_characters_go_through(runtime: Runtime, value: str) -> None:
    runtime.invoke(CustomAttributes=value)

    assert runtime.model.asked[0].custom_attributes == value


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "client"), (404, "client"), (415, "client"), (500, "server"), (503, "server")]
)
def test_a_models_refusal_is_a_model_error_with_all_its_members(
    runtime: Runtime, status: int, kind: str
) -> None:
    runtime.model.answer = lambda request: Answer(status, "bad röw".encode(), "text/plain")

    refused = runtime.refusal()

    assert code_and_status(refused) == ("ModelError", 424)
    assert refused["Error"]["Message"] == (
        f'Received {kind} error ({status}) from primary with message "bad röw". {SEE}'
    )
    assert refused["OriginalStatusCode"] == status
    assert refused["OriginalMessage"] == "bad röw"
    assert (
        refused["LogStreamArn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/Demo"
    )


def test_an_oversized_error_is_told_without_its_body(runtime: Runtime) -> None:
    runtime.model.answer = lambda request: Answer(500, b"x" * 1_000_000)

    refused = runtime.refusal()

    assert refused["Error"]["Message"] == (
        f"Received server error (500) from primary and could not load the entire response body. {SEE}"
    )


def test_a_model_that_answers_too_late_is_a_model_error_with_status_0(runtime: Runtime) -> None:
    runtime.model.answer = lambda request: Answer(0, b"")

    refused = runtime.refusal()

    said = (
        "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
        "each container in Amazon CloudWatch, resolve the issue, and try again."
    )
    assert code_and_status(refused) == ("ModelError", 424)
    assert (
        refused["Error"]["Message"] == f'Received server error (0) from primary with message "{said}". {SEE}'
    )
    assert (refused["OriginalStatusCode"], refused["OriginalMessage"]) == (0, said)


def test_without_an_instance_in_service_a_call_is_service_unavailable(runtime: Runtime) -> None:
    empty = Variant("A", 1, [Container("primary", [])])
    runtime.router.install(KEY, Route(PLACE, 2, [empty]))

    assert code_and_status(runtime.refusal()) == ("ServiceUnavailable", 503)


def test_a_call_under_which_its_model_dies_twice_is_a_model_error(runtime: Runtime) -> None:
    def die(request: Request) -> Answer:
        raise ReplicaLost(suspect=True)

    runtime.model.answer = die

    refused = runtime.refusal()

    assert code_and_status(refused) == ("ModelError", 424)
    assert refused["OriginalMessage"] == "The model's process ended while it worked on this request, twice."
    assert len(runtime.model.asked) == 2


def test_streams_take_their_own_headers_and_answer_by_theirs(runtime: Runtime) -> None:
    answer = runtime.client.invoke_endpoint_with_response_stream(
        EndpointName="Demo", Body=b"1", ContentType="text/csv", Accept="text/plain", CustomAttributes="a=b"
    )

    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert list(answer["Body"]) == [{"PayloadPart": {"Bytes": b"ok"}}]
    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    assert headers["x-amzn-sagemaker-content-type"] == "text/csv"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "said=1"
    assert headers["x-amzn-invoked-production-variant"] == "A"
    assert (runtime.model.asked[0].accept, runtime.model.asked[0].custom_attributes) == ("text/plain", "a=b")


@pytest.mark.parametrize(
    ("status", "code", "http_status"),
    [(500, "ModelError", 424), (0, "ModelError", 424), (400, "ModelError", 424)],
)
def test_a_stream_that_does_not_begin_is_refused_like_any_call(
    runtime: Runtime, status: int, code: str, http_status: int
) -> None:
    runtime.model.answer = lambda request: Answer(status, b"no")

    with pytest.raises(ClientError) as refused:
        runtime.client.invoke_endpoint_with_response_stream(EndpointName="Demo", Body=b"1")

    assert code_and_status(refused.value.response) == (code, http_status)
    assert refused.value.response["OriginalStatusCode"] == status


def test_the_error_is_json_that_names_its_type_in_a_header(runtime: Runtime) -> None:
    runtime.model.answer = lambda request: Answer(500, b"no")
    signed: list[Any] = []
    runtime.client.meta.events.register_first(
        "before-send.sagemaker-runtime.InvokeEndpoint", lambda request, **_: signed.append(request)
    )
    runtime.refusal()

    connection = http.client.HTTPConnection("127.0.0.1", runtime.port, timeout=60)
    headers = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in signed[0].headers.items()
    }
    connection.request("POST", "/endpoints/Demo/invocations", signed[0].body, headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()

    assert answer.status == 424
    assert answer.headers["x-amzn-errortype"].partition(":")[0] == "ModelError"
    assert told["OriginalStatusCode"] == 500
    assert set(told) >= {"Message", "OriginalStatusCode", "OriginalMessage", "LogStreamArn"}
