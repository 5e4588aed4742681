"""Every operation's codec against the other half that botocore holds.

Input: a random value, written by botocore's serialiser, must be routed to its operation and parsed back by ours. Output and
errors: written by ours, they must be parsed back by botocore's. A failure names service, operation and the seed.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine, Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import parsers, serialize
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.compat import HTTPHeaders
from botocore.loaders import Loader
from botocore.model import ServiceModel

from colonnade.gateway import plans, services
from colonnade.gateway.errors import answer
from colonnade.gateway.event_streams import Frames
from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.handlers.identify import identify
from colonnade.gateway.handlers.receive import receive
from colonnade.gateway.protocols import s3_corrections
from colonnade.kernel import models
from colonnade.kernel.errors import ServiceError

from .values import TRICKY, Values, for_botocore, from_botocore, without_empty_structures

NAMED = [
    "application-autoscaling",
    "athena",
    "bedrock-runtime",
    "budgets",
    "ce",
    "cloudtrail",
    "cloudwatch",
    "comprehend",
    "ecr",
    "events",
    "glue",
    "greengrassv2",
    "iam",
    "kinesis",
    "kinesisanalyticsv2",
    "kms",
    "lambda",
    "lexv2-models",
    "lexv2-runtime",
    "logs",
    "macie2",
    "polly",
    "quicksight",
    "rekognition",
    "s3",
    "sagemaker",
    "sagemaker-a2i-runtime",
    "sagemaker-edge",
    "sagemaker-featurestore-runtime",
    "sagemaker-inference-router-runtime",
    "sagemaker-metrics",
    "sagemaker-runtime",
    "sagemakerjobruntime",
    "sagemakertrainingsessionruntime",
    "secretsmanager",
    "sns",
    "sqs",
    "stepfunctions",
    "sts",
    "transcribe",
    "translate",
    "wellarchitected",
]
SPOKEN = [
    (service, protocol)
    for service in NAMED
    for protocol in services.protocols(service)
    if protocol in services.SUPPORTED
]


_SUPERSEDED = "another operation has its route, as on AWS: s3_corrections.SUPERSEDED"
_BIDIRECTIONAL = "streams events in over HTTP/2; deleted from boto3, so nobody of ours could send it"
UNROUTED = {("s3", name): _SUPERSEDED for name in s3_corrections.SUPERSEDED}
NO_INPUT = {
    **UNROUTED,
    ("bedrock-runtime", "InvokeModelWithBidirectionalStream"): _BIDIRECTIONAL,
    ("lexv2-runtime", "StartConversation"): _BIDIRECTIONAL,
    ("polly", "StartSpeechSynthesisStream"): _BIDIRECTIONAL,
}
NO_OUTPUT = {
    **UNROUTED,
    (
        "s3",
        "GetBucketLocation",
    ): "a lone element, which botocore reads in its client, not its parser: test_clients",
}
"""What is not tried, and why not. Everything else of every named service is."""

SAMPLES = [
    "full",
    "sparse",
    *(pytest.param(f"sparse-{again}", marks=pytest.mark.slow) for again in range(8)),
]


def operations_of(service: str, left_out: Mapping[tuple[str, str], str]) -> Iterator[Any]:
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    for name in model.operation_names:
        if (service, name) not in left_out:
            yield model.operation_model(name)


def test_no_operation_is_left_out_silently() -> None:
    every = {(service, name) for service in NAMED for name in models.service(service).operation_names}
    bidirectional = {
        key
        for key in every
        if (shape := models.operation(*key).input_shape) is not None and event_streams(shape)
    }
    spoken = {service for service, _ in SPOKEN}

    print(f"{len(every)} operations of {len(NAMED)} services over {len(SPOKEN)} protocols;", end=" ")
    print(f"{len(every) - len(NO_INPUT)} inputs and {len(every) - len(NO_OUTPUT)} outputs are tried")

    assert spoken == set(NAMED)
    assert len(every) > 2_700
    assert set(NO_INPUT) == set(UNROUTED) | bidirectional
    assert set(NO_OUTPUT) == set(UNROUTED) | {("s3", name) for name in s3_corrections.LONE_ELEMENTS}
    assert every.issuperset(NO_INPUT | NO_OUTPUT)


def event_streams(shape: Any) -> frozenset[str]:
    return frozenset(
        name for name, member in shape.members.items() if member.serialization.get("eventstream")
    )


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(("service", "protocol"), SPOKEN)
def test_every_input_arrives_as_it_was_meant(service: str, protocol: str, sample: str) -> None:
    wrong = []
    for model in operations_of(service, NO_INPUT):
        seed = f"{service}:{model.name}:{sample}"
        shape = model.input_shape
        # botocore writes carriage returns bare into XML, where they cannot survive.
        letters = [letter for letter in TRICKY if letter != "\r" or protocol != "rest-xml"]
        value = (
            Values(seed, sparse=sample != "full", letters=letters).structure(shape)
            if shape is not None
            else {}
        )
        if protocol == "query":
            value = without_empty_structures(value)
        found = arrived(model, protocol, for_botocore(shape, value) if shape is not None else {})
        expected = (service, model.name, as_parsed(shape, value))
        if found != expected:
            wrong.append(f"{seed}\n  sent  {expected}\n  found {found}")
    assert not wrong, f"{len(wrong)} of {service}:\n" + "\n".join(wrong[:5])


def arrived(model: Any, protocol: str, parameters: dict[str, Any]) -> tuple[str, str, Any]:
    """(service, operation, parameters) as the gateway sees what botocore sends."""
    exchange = exchange_for(model, sent(model, protocol, parameters))
    try:
        run(identify(exchange))
        plan = exchange.plan
        assert plan is not None
        run(receive(exchange))
        found = plan.parse(exchange)
    except ServiceError as error:
        return ("", "", str(error))
    for name, member in found.items():
        if hasattr(member, "read"):
            found[name] = member.read()
    return (plan.service, plan.operation, found)


def sent(model: Any, protocol: str, parameters: dict[str, Any]) -> Any:
    request = serialize.create_serializer(protocol, include_validation=False).serialize_to_request(
        parameters, model
    )
    if request.get("auth_path"):
        query = urlsplit(model.http["requestUri"]).query
        request["url_path"] = request["auth_path"] + (
            f"?{query}" if query and "?" not in request["auth_path"] else ""
        )
    request.pop("host_prefix", None)
    prepare_request_dict(request, "http://127.0.0.1:4566")
    return create_request_object(request).prepare()


_EVERYBODY_IS_KNOWN = SimpleNamespace(the=lambda kind: SimpleNamespace(credential=lambda key: object()))


def exchange_for(model: Any, request: Any) -> Exchange:
    url = urlsplit(request.url)
    body = request.body or b""
    body = body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else bytes(body)
    signing_name = model.service_model.signing_name
    headers = {
        name.lower().encode(): value if isinstance(value, bytes) else str(value).encode("utf-8")
        for name, value in request.headers.items()
    }
    credential = f"Credential=AKIA/20261122/eu-west-1/{signing_name}/aws4_request"
    headers |= {
        b"authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=00".encode(),
        b"x-amz-date": b"20261122T000000Z",
        b"content-length": str(len(body)).encode(),
    }

    async def receive_body() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Exchange(
        platform=_EVERYBODY_IS_KNOWN,  # type: ignore[arg-type]
        pool=None,  # type: ignore[arg-type]
        receive=receive_body,
        request_id="request-id",
        method=request.method,
        raw_path=url.path,
        path=url.path,
        query=url.query,
        headers=headers,
        source="",
        default_region="us-east-1",
    )


_LOOP = asyncio.new_event_loop()


def run(step: Any) -> None:
    if isinstance(step, Coroutine):
        _LOOP.run_until_complete(step)


def normal(shape: Any, value: dict[str, Any]) -> dict[str, Any]:
    """What survives the wire: header names are lower-case, host labels travel in the host name."""
    found = {}
    for name, item in value.items():
        places = shape.members[name].serialization
        if places.get("location") == "headers":
            item = {key.lower(): text for key, text in item.items()}
        found[name] = item
    return found


def as_parsed(shape: Any, value: dict[str, Any]) -> dict[str, Any]:
    """A streaming body is always there, if only to be empty; an empty structure as payload is as good as none."""
    if shape is None:
        return {}
    found = normal(shape, value)
    payload = shape.serialization.get("payload")
    if payload and shape.members[payload].serialization.get("streaming"):
        found.setdefault(payload, b"")
        if "ContentLength" in shape.members:
            found["ContentLength"] = len(found[payload])
    elif payload and found.get(payload) == {} and payload not in shape.required_members:
        del found[payload]
    return found


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(("service", "protocol"), SPOKEN)
def test_every_output_is_understood(service: str, protocol: str, sample: str) -> None:
    wrong = []
    for model in operations_of(service, NO_OUTPUT):
        seed = f"{service}:{model.name}:{sample}"
        shape = model.output_shape
        value, events = output(shape, Values(seed, sparse=sample != "full", milliseconds=True))
        exchange = planned(model, protocol)
        response = exchange.plan.serialise(exchange, value | events)  # type: ignore[union-attr]
        seen = as_botocore_sees(response, shape)
        parsed = parsers.create_parser(protocol).parse(seen, shape)
        if shape is None:
            # Nothing but what each answer has.
            if set(parsed) != {"ResponseMetadata"}:
                wrong.append(f"{seed}\n  {response}")
            continue
        happened = {name: happenings(shape.members[name], parsed.pop(name)) for name in events}
        found = understood(shape, parsed)
        if found != solid(normal(shape, value) | implied(shape, value, response)) or happened != events:
            wrong.append(
                f"{seed}\n  sent  {value} {events}\n  found {found} {happened}\n  as    {response.body!r}"[
                    :3000
                ]
            )
    assert not wrong, f"{len(wrong)} of {service}:\n" + "\n".join(wrong[:5])


def output(shape: Any, values: Values) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The members, and those that are event streams: each with one event of every kind."""
    if shape is None:
        return {}, {}
    streams = event_streams(shape)
    events = {
        name: [
            {kind: solid(values.structure(each, 1))}
            for kind, each in shape.members[name].members.items()
            if not each.metadata.get("exception")
        ]
        for name in streams
    }
    return values.structure(shape, skip=streams), events


def happenings(stream: Any, events: Any) -> list[Any]:
    found = [from_botocore(stream, event) for event in events]
    return [{kind: solid(members) for kind, members in event.items()} for event in found]


class Streamed:
    """A body as urllib3 hands it to botocore's event streams."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames

    def stream(self) -> Iterator[bytes]:
        async def gathered() -> list[bytes]:
            return [piece async for piece in self.frames]

        yield from _LOOP.run_until_complete(gathered())


def planned(model: Any, protocol: str) -> Exchange:
    """An exchange of which only the answer matters."""
    request = SimpleNamespace(url="http://127.0.0.1/x", body=b"", headers={}, method="GET")
    exchange = exchange_for(model, request)
    exchange.plan = plans.plan(model.service_model.service_name, model.name, protocol)
    return exchange


def as_botocore_sees(response: Response, shape: Any = None) -> dict[str, Any]:
    headers = HTTPHeaders.from_pairs(
        [(name.decode(), value.decode("latin-1")) for name, value in response.headers]
    )
    if isinstance(response.body, Frames):
        context = {"operation_name": "Tried"}
        return {
            "status_code": response.status,
            "headers": headers,
            "body": Streamed(response.body),
            "context": context,
        }
    payload = shape.serialization.get("payload") if shape is not None else None
    raw = payload and shape.members[payload].type_name == "blob"
    body = io.BytesIO(bytes_of(response)) if raw else response.body
    return {"status_code": response.status, "headers": headers, "body": body}


def bytes_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def understood(shape: Any, parsed: dict[str, Any]) -> dict[str, Any]:
    parsed.pop("ResponseMetadata", None)
    found: dict[str, Any] = from_botocore(shape, parsed)
    for name, item in found.items():
        if hasattr(item, "read"):
            found[name] = item.read()
    return solid(found)


def solid(value: dict[str, Any]) -> dict[str, Any]:
    """botocore makes something of an empty body and of metadata that are not there."""
    return {name: item for name, item in value.items() if item not in (b"", {})}


def implied(shape: Any, value: dict[str, Any], response: Response) -> dict[str, Any]:
    """Members that an answer has anyhow: its status, its content type, and a text that is all of its body."""
    payload = shape.serialization.get("payload")
    found: dict[str, Any] = {}
    if payload and shape.members[payload].type_name == "string":
        found[payload] = value.get(payload, "")
    for name, member in shape.members.items():
        if name in value:
            continue
        if member.serialization.get("location") == "statusCode":
            found[name] = response.status
        elif member.serialization.get("name", "").lower() == "content-type":
            text = dict(response.headers).get(b"content-type")
            found |= {} if text is None else {name: text.decode()}
    return found


@pytest.mark.parametrize(("service", "protocol"), SPOKEN)
def test_every_error_is_understood(service: str, protocol: str) -> None:
    wrong = []
    for model in operations_of(service, UNROUTED):
        if problem := unmodelled_problem(model, protocol):
            wrong.append(f"{service}:{model.name}\n  {problem}")
        for shape in model.error_shapes:
            seed = f"{service}:{model.name}:{shape.name}"
            problem = error_problem(model, protocol, shape, Values(seed, sparse=True))
            if problem:
                wrong.append(f"{seed}\n  {problem}")
    assert not wrong, f"{len(wrong)} of {service}:\n" + "\n".join(wrong[:5])


def unmodelled_problem(model: Any, protocol: str) -> str:
    exchange = planned(model, protocol)
    exchange.method = "POST"
    response = answer(exchange, ServiceError("NobodyDeclaredThis", "why: \u00e9", status=418))
    found = parsers.create_parser(protocol).parse(as_botocore_sees(response), model.output_shape)
    told = (found["Error"]["Code"], found["Error"]["Message"], response.status)
    return "" if told == ("NobodyDeclaredThis", "why: \u00e9", 418) else f"{told} of {response}"


def error_problem(model: Any, protocol: str, shape: Any, values: Values) -> str:
    members = values.structure(shape) if protocol != "query" else {}
    members = {name: item for name, item in members.items() if name.lower() != "message"}
    code = shape.metadata.get("error", {}).get("code", shape.name)
    exchange = planned(model, protocol)
    exchange.method = "POST"
    response = answer(exchange, ServiceError(code, "no: <that> & 'this'", members=members))
    parser = parsers.create_parser(protocol)
    generic = parser.parse(as_botocore_sees(response), model.output_shape)
    wanted = {"query": code, "rest-xml": code}.get(protocol, shape.name)
    if (generic["Error"]["Code"], generic["Error"]["Message"]) != (wanted, "no: <that> & 'this'"):
        return f"generic {generic}"
    modelled = from_botocore(shape, parser.parse(as_botocore_sees(response), shape)) if members else {}
    missing = {name: item for name, item in members.items() if modelled.get(name) != item}
    return f"members {missing} of {response}" if missing else ""
